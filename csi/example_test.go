package csi_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"whither/csi"
)

func ExampleParse() {
	id, err := csi.Parse("mailto:Bob@Bücher.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(id) // safe in any log
	fmt.Println(id.Canonical())
	// Output:
	// mailto:…
	// mailto:bob@xn--bcher-kva.example
}

func ExampleParse_refused() {
	_, err := csi.Parse("tel:02079460148")
	fmt.Println(err)
	fmt.Println(errors.Is(err, csi.ErrNotGlobal))
	// Output:
	// csi: tel: not an international number: write + and the country code, and no 0 in brackets
	// true
}

func ExampleParseCanonical() {
	_, err := csi.ParseCanonical("tel:+1-408-555-0123")
	fmt.Println(err)
	// Output:
	// csi: tel: is not in canonical form: parse and write it again
}

func ExampleID_ENUM() {
	id, _ := csi.Parse("tel:+44-20-7946-0148")
	fmt.Println(id.ENUM())
	fmt.Println(id.PASSporTDigits())
	fmt.Println(id.CAMARA())
	// Output:
	// 8.4.1.0.6.4.9.7.0.2.4.4.e164.arpa
	// 442079460148
	// +442079460148
}

func ExampleID_Home() {
	for _, s := range []string{"tel:+14085550123", "tel:+18765550123", "tel:+88212345678", "mailto:bob@example.org"} {
		id, _ := csi.Parse(s)
		fmt.Println(id.Scheme(), id.Home())
	}
	// Output:
	// tel [US]
	// tel [JM]
	// tel []
	// mailto []
}

func ExampleTable_With() {
	table, err := csi.Default().With(csi.Row{
		Scheme: "extension",
		Canonicalise: func(s string) (string, error) {
			if len(s) != 4 {
				return "", csi.ErrLength
			}
			return s, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := table.Parse("extension:4711")
	fmt.Println(id, err)
	// Output:
	// extension:… <nil>
}

func ExampleClear() {
	id, _ := csi.Parse("tel:+14085550123")
	message := struct {
		CSI csi.Clear `json:"csi"`
	}{csi.Clear{ID: id}}
	b, _ := json.Marshal(message)
	fmt.Printf("%s %+v\n", b, message)
	// Output:
	// {"csi":"tel:+14085550123"} {CSI:tel:…}
}
