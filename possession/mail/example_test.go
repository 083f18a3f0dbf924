package mail_test

import (
	"crypto/sha256"
	"fmt"

	"whither/possession/mail"
)

// The app shows this text; the person sends it as her reply.
func ExampleResponse() {
	digest := sha256.Sum256([]byte("canonical {label, CSI, holder key, nonce}"))
	fmt.Print(mail.Response(digest, "5f0b-91c3-7a52-44e0-9d1e-b6a8-03c7-f2d4"))
	// Output:
	// I let key 5f0b-91c3-7a52-44e0-9d1e-b6a8-03c7-f2d4 answer for this address.
	//
	// -----BEGIN WHITHER RESPONSE-----
	// XH8ElvsqUM6mT7v3YuTs_IeZDjHXszssrgJt0XWMZck
	// -----END WHITHER RESPONSE-----
}
