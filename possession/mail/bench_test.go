package mail_test

import (
	"testing"

	"whither/possession/mail"
)

func BenchmarkVerifyRSA2048(b *testing.B) {
	d := vectorCase{}.build(b)
	b.SetBytes(int64(len(d.raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mail.Verify([]byte(d.raw), d.want, lookup(d.records)); err != nil {
			b.Fatal(err)
		}
	}
}
