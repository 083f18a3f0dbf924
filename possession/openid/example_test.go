package openid_test

import (
	"bytes"
	"fmt"

	"whither/csi"
	"whither/key"
	"whither/possession"
	"whither/possession/openid"
)

// The app asks the provider for a token with this nonce; no other key can use
// what comes back.
func ExampleNonce() {
	id, err := csi.Parse("mailto:alice@example.org")
	if err != nil {
		fmt.Println(err)
		return
	}
	holder, err := key.Generate(bytes.NewReader(make([]byte, 32)))
	if err != nil {
		fmt.Println(err)
		return
	}
	var challenge [possession.NonceSize]byte // from the prover
	fmt.Println(openid.Nonce(possession.Response(id, holder.Public(), challenge)))
	// Output:
	// LEbFnIKu2iG6dz4jew4RFAfxnGuJLB2Z1VLcJ7SuvV4
}
