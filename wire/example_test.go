package wire_test

import (
	"fmt"

	"whither/csi"
	"whither/registry"
	"whither/wire"
)

// A message in both encodings: text keys in CBOR, the same members in JSON.
func ExampleEncode() {
	bob, err := csi.Parse("mailto:bob@example.org")
	if err != nil {
		fmt.Println(err)
		return
	}
	msp, err := registry.ParsePartyID("msp-a.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	question := wire.LookupRequest{
		CSIs: []csi.Clear{{ID: bob}}, MSPs: []registry.PartyID{msp},
		Federation: wire.FederationNone, Format: wire.FormatVerbose,
	}
	inJSON, err := wire.Encode(wire.TypeJSON, question)
	if err != nil {
		fmt.Println(err)
		return
	}
	inCBOR, err := wire.Encode(wire.TypeCBOR, question)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n%x\n", inJSON, inCBOR)
	// Output:
	// {"csis":["mailto:bob@example.org"],"msps":["msp-a.example"],"federation":"none","format":"verbose"}
	// a4646373697381766d61696c746f3a626f62406578616d706c652e6f7267646d737073816d6d73702d612e6578616d706c6566666f726d617467766572626f73656a66656465726174696f6e646e6f6e65
}
