package stir_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/possession/stir"
)

const answersFile = "../../vectors/stir/answers.json"

// answerVector is what a client makes of a challenge.
type answerVector struct {
	CSI    string `json:"csi"`
	Holder string `json:"holder"`
	Nonce  string `json:"nonce"`
	Text   string `json:"text"`
	Code   string `json:"code"`
}

// answer fills in what follows from the challenge.
func (v *answerVector) answer(t *testing.T) {
	t.Helper()
	raw, err := hex.DecodeString(v.Holder)
	if err != nil {
		t.Fatal(err)
	}
	holder, err := key.PublicFromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	nonce, err := hex.DecodeString(v.Nonce)
	if err != nil || len(nonce) != possession.NonceSize {
		t.Fatalf("nonce of %d bytes, %v", len(nonce), err)
	}
	response := possession.Response(worldtest.CSI(t, v.CSI), holder, [possession.NonceSize]byte(nonce))
	v.Text, v.Code = stir.Response(response, holder.ID().String()), stir.CallCode(response)
}

// TestAnswers holds the file against what is computed, and writes it with
// -update.
func TestAnswers(t *testing.T) {
	var want []answerVector
	for _, csi := range []string{"tel:+12155551212", "tel:+41791234567"} {
		for i, holder := range []string{"bob's app", "alice's app"} {
			v := answerVector{
				CSI: csi, Holder: hex.EncodeToString(worldtest.Key(t, holder).Public().Bytes()),
				Nonce: strings.Repeat(hex.EncodeToString([]byte{byte(i), 0xff}), possession.NonceSize/2),
			}
			v.answer(t)
			want = append(want, v)
		}
	}
	text, err := json.MarshalIndent(map[string]any{"answers": want}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(answersFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(answersFile)
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("%s is not what the test composes; run it with -update: %v", answersFile, err)
	}
	codes := make(map[string]bool)
	for _, v := range want {
		codes[v.Code] = true
	}
	if len(codes) != len(want) {
		t.Error("a code depends on number, key and nonce")
	}
}
