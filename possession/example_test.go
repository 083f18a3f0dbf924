package possession_test

import (
	"bytes"
	"fmt"

	"whither/csi"
	"whither/key"
	"whither/possession"
	"whither/possession/mail"
)

// What a holder's app does with the two halves of a challenge: the first came
// to the mailbox, the second over TLS.
func ExampleResponse() {
	id, err := csi.Parse("mailto:alice@example.org")
	if err != nil {
		fmt.Println(err)
		return
	}
	holder, err := key.Generate(bytes.NewReader(make([]byte, 32))) // crypto/rand.Reader, outside of examples
	if err != nil {
		fmt.Println(err)
		return
	}
	var nonce [possession.NonceSize]byte
	copy(nonce[:24], "the half that came by mail")
	copy(nonce[24:], "the half that came by TLS")
	response := possession.Response(id, holder.Public(), nonce)
	fmt.Print(mail.Response(response, holder.Public().ID().String()))
	// Output:
	// I let key 6f7d-eef6-5d54-a699-05d3-09a5-3cb1-3fc7 answer for this address.
	//
	// -----BEGIN WHITHER RESPONSE-----
	// o_E_kPYVl91sotIJZkM0kJb5iQ1iYrKiTV6lM1YABWM
	// -----END WHITHER RESPONSE-----
}
