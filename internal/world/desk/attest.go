package desk

import (
	"context"
	"encoding/json"
	"net/http"

	"whither/client"
	"whither/possession"
	"whither/registry"
)

// wanted asks who speaks for a number to sign that a key does too, and holds what
// was signed.
type wanted struct {
	Number string `json:"number"`
	Kind   string `json:"kind"`
	To     string `json:"to,omitempty"`
	Key    string `json:"key"`
	Signed []byte `json:"signed,omitempty"`
}

// attest has a number's carrier, its delegate or the authority over it sign.
func (s *Server) attest(w http.ResponseWriter, r *http.Request) {
	var a wanted
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&a); err != nil {
		http.Error(w, "not an order", http.StatusBadRequest)
		return
	}
	var err error
	switch kind, _ := possession.ParseKind(a.Kind); kind {
	case possession.PassportKey:
		a.Signed, err = s.network.Attest(a.Number, a.To, a.Key)
	case possession.Delegate:
		a.Signed, err = s.network.AttestDelegated(a.Number, a.To, a.Key)
	case possession.TNToken:
		a.Signed, err = s.network.AuthorityToken(a.Number, a.Key)
	default:
		http.Error(w, "nobody signs this", http.StatusBadRequest)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // the caller is gone; nobody to tell
}

// Attest has who speaks for the desk's phone sign.
func (p *Person) Attest(ctx context.Context, _ registry.PartyID, a client.Attestation) ([]byte, error) {
	var out wanted
	err := p.post(ctx, "/attest", wanted{Number: "+" + a.Number, Kind: a.Kind.String(), To: a.To, Key: a.Key}, &out)
	return out.Signed, err
}
