package person

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"whither/key"
	"whither/mapping"
	"whither/mapping/pairing"
	"whither/wire"
)

// ErrJoin refuses a text that is not the next one of a join under way here.
var ErrJoin = errors.New("this is not the next text of a join that is under way here; begin again with whither join")

// ErrCode: the two devices do not show the same code.
var ErrCode = errors.New("the other device shows another code: somebody may stand between them; begin again")

// Step is what a text of a join is: the newer device starts and opens, the older
// one answers and grants (docs/spec/mapping.md, section "Lineages").
type Step string

// The steps, in their order.
const (
	StepStart  Step = "start"
	StepAnswer Step = "answer"
	StepOpen   Step = "open"
	StepGrant  Step = "grant"
)

// maxText bounds a text that another device shows: a bundle in base64 at most.
const maxText = 64 << 10

// Texts of a join are copied from device to device, by hand or as a code to
// photograph.
type (
	startText  struct{ Commitment []byte }
	answerText struct{ Older, Lineage, Nonce []byte }
	openText   struct{ Newer, Random []byte }
	grantText  struct {
		Proposal []byte
		Bundle   wire.Bundle
	}
)

// newerState and olderState are what each device keeps while a join is under way.
type newerState struct {
	Random []byte
	Answer *answerText
}

type olderState struct {
	Mapping    string
	Commitment []byte
	Nonce      []byte
}

func text(s Step, v any) (string, error) {
	b, err := json.Marshal(v)
	return "whither-join-" + string(s) + ":" + base64.RawURLEncoding.EncodeToString(b), err
}

// StepOf says what a text is.
func StepOf(t string) (Step, error) {
	rest, ok := strings.CutPrefix(t, "whither-join-")
	name, _, found := strings.Cut(rest, ":")
	if !ok || !found || len(t) > maxText {
		return "", ErrJoin
	}
	switch s := Step(name); s {
	case StepStart, StepAnswer, StepOpen, StepGrant:
		return s, nil
	default:
		return "", ErrJoin
	}
}

func read(s Step, t string, v any) error {
	if got, err := StepOf(t); err != nil || got != s {
		return ErrJoin
	}
	_, body, _ := strings.Cut(t, ":")
	b, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return ErrJoin
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil {
		return ErrJoin
	}
	return nil
}

func (f *Folder) newer() string { return f.Path("pairing", "newer.json") }
func (f *Folder) older() string { return f.Path("pairing", "older.json") }

// StartJoin begins on the newer device.
func (f *Folder) StartJoin(k key.Private) (string, error) {
	p, err := pairing.New(rand.Reader, k.Public())
	if err != nil {
		return "", err
	}
	if err := writeState(f.newer(), newerState{Random: p.Random[:]}); err != nil {
		return "", err
	}
	c := p.Commitment()
	return text(StepStart, startText{Commitment: c[:]})
}

// AnswerJoin answers on the older device, for the person's mapping that is named.
func (f *Folder) AnswerJoin(t, name string) (string, error) {
	var start startText
	if err := read(StepStart, t, &start); err != nil {
		return "", err
	}
	v, _, err := f.Load(name)
	if err != nil {
		return "", err
	}
	var nonce mapping.Nonce
	if _, err := rand.Read(nonce[:]); err != nil {
		return "", err
	}
	c := v.Claims()
	if err := writeState(f.older(), olderState{Mapping: c.ID.String(), Commitment: start.Commitment, Nonce: nonce[:]}); err != nil {
		return "", err
	}
	return text(StepAnswer, answerText{Older: c.Holder.Bytes(), Lineage: c.Lineage[:], Nonce: nonce[:]})
}

// OpenJoin goes on on the newer device: it returns the text for the older one, and
// the code that both show.
func (f *Folder) OpenJoin(t string, k key.Private) (out, code string, err error) {
	var a answerText
	if err := read(StepAnswer, t, &a); err != nil {
		return "", "", err
	}
	var s newerState
	there, err := readState(f.newer(), &s)
	if err != nil {
		return "", "", err
	}
	// One answer only: whoever may answer twice may try for a code.
	if !there || s.Answer != nil {
		return "", "", ErrJoin
	}
	if code, err = codeOf(k.Public(), s.Random, a); err != nil {
		return "", "", err
	}
	s.Answer = &a
	if err := writeState(f.newer(), s); err != nil {
		return "", "", err
	}
	out, err = text(StepOpen, openText{Newer: k.Public().Bytes(), Random: s.Random})
	return out, code, err
}

func codeOf(newer key.Public, random []byte, a answerText) (string, error) {
	older, err := key.PublicFromBytes(a.Older)
	if err != nil || len(random) != sha256.Size || len(a.Lineage) != len(mapping.Lineage{}) || len(a.Nonce) != mapping.NonceSize {
		return "", ErrJoin
	}
	p := pairing.Pairing{Newer: newer, Random: [32]byte(random)}
	return p.Code(older, mapping.Lineage(a.Lineage), mapping.Nonce(a.Nonce)), nil
}

// GrantJoin ends it on the older device: if the code is the one that the other
// device shows, the holder's key signs that the newer one is hers as well.
func (f *Folder) GrantJoin(t, code string, k key.Private) (string, error) {
	var o openText
	if err := read(StepOpen, t, &o); err != nil {
		return "", err
	}
	var s olderState
	there, err := readState(f.older(), &s)
	if err != nil {
		return "", err
	}
	if !there {
		return "", ErrJoin
	}
	if err := os.Remove(f.older()); err != nil { // one try a code
		return "", err
	}
	v, _, err := f.Load(s.Mapping)
	if err != nil {
		return "", err
	}
	c := v.Claims()
	newer, err := key.PublicFromBytes(o.Newer)
	if err != nil || len(o.Random) != sha256.Size || len(s.Commitment) != sha256.Size || c.Holder != k.Public() {
		return "", ErrJoin
	}
	p := pairing.Pairing{Newer: newer, Random: [32]byte(o.Random)}
	if err := p.Opens([sha256.Size]byte(s.Commitment)); err != nil {
		return "", err
	}
	if p.Code(c.Holder, c.Lineage, mapping.Nonce(s.Nonce)) != code {
		return "", ErrCode
	}
	g := grantText{Bundle: wire.BundleOf(v.Bundle())}
	if g.Proposal, err = mapping.Propose(mapping.Join, c.CSI, c.Lineage, k, newer, f.now()); err != nil {
		return "", err
	}
	return text(StepGrant, g)
}

// TakeJoin ends it on the newer device. It returns the mapping of the older one,
// beside which the newer one's stands, and the statement that both have signed.
func (f *Folder) TakeJoin(t string, k key.Private) (mapping.Verified, []byte, error) {
	refuse := func(err error) (mapping.Verified, []byte, error) { return mapping.Verified{}, nil, err }
	var g grantText
	if err := read(StepGrant, t, &g); err != nil {
		return refuse(err)
	}
	var s newerState
	there, err := readState(f.newer(), &s)
	if err != nil {
		return refuse(err)
	}
	if !there || s.Answer == nil {
		return refuse(ErrJoin)
	}
	u, err := mapping.Parse(g.Bundle.Unpack())
	if err != nil {
		return refuse(err)
	}
	v, err := mapping.PolicyAt(f.source.Snapshot(), f.now()).VerifyForRenewal(u)
	if err != nil {
		return refuse(err)
	}
	p, err := mapping.ParseProposal(g.Proposal)
	if err != nil {
		return refuse(err)
	}
	c := v.Claims()
	if p.Kind != mapping.Join || p.Lineage != c.Lineage || p.Older != c.Holder || p.Newer != k.Public() ||
		!bytes.Equal(p.Older.Bytes(), s.Answer.Older) || !bytes.Equal(p.Lineage[:], s.Answer.Lineage) {
		return refuse(fmt.Errorf("%w: it is about other keys than those whose code was compared", ErrJoin))
	}
	statement, err := p.Accept(k, f.now())
	return v, statement, err
}

// EndJoin forgets a join on the newer device.
func (f *Folder) EndJoin() error { return os.Remove(f.newer()) }
