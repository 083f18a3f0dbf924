package sample_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"testing"

	"whither/internal/privacy/pir/sample"
)

const n = 1 << 17

func TestTernaryIsUniform(t *testing.T) {
	s := make([]int8, n)
	if err := sample.Ternary(rand.Reader, s); err != nil {
		t.Fatal(err)
	}
	var count [3]int
	for _, v := range s {
		if v < -1 || v > 1 {
			t.Fatalf("value %d", v)
		}
		count[v+1]++
	}
	for v, c := range count {
		// Seven standard deviations of a count.
		if d := math.Abs(float64(c) - n/3.0); d > 7*math.Sqrt(n*2/9.0) {
			t.Errorf("%d appears %d times in %d", v-1, c, n)
		}
	}
}

func TestBinomialMoments(t *testing.T) {
	for words := 1; words <= 3; words++ {
		e := make([]int32, n)
		if err := sample.Binomial(rand.Reader, e, words); err != nil {
			t.Fatal(err)
		}
		var sum, square float64
		for _, v := range e {
			if v < int32(-32*words) || v > int32(32*words) {
				t.Fatalf("value %d", v)
			}
			sum += float64(v)
			square += float64(v) * float64(v)
		}
		variance := 16 * float64(words)
		if mean := sum / n; math.Abs(mean) > 7*math.Sqrt(variance/n) {
			t.Errorf("%d words: mean %v", words, mean)
		}
		if got := square / n; math.Abs(got-variance) > 7*variance*math.Sqrt(2.0/n) {
			t.Errorf("%d words: variance %v, want %v", words, got, variance)
		}
	}
}

// TestEndsOfTheRange pins the formulas, which vectors depend on.
func TestEndsOfTheRange(t *testing.T) {
	for _, c := range []struct {
		fill byte
		s    int8
		e    int32
	}{{0, -1, -96}, {0x80, 0, -72}, {0x55, -1, 0}, {0x56, 0, 0}, {0xff, 1, 96}} {
		s, e := make([]int8, 3), make([]int32, 3)
		raw := bytes.Repeat([]byte{c.fill}, 24*3)
		if err := sample.Ternary(bytes.NewReader(raw), s); err != nil {
			t.Fatal(err)
		}
		if err := sample.Binomial(bytes.NewReader(raw), e, 3); err != nil {
			t.Fatal(err)
		}
		if s[2] != c.s || e[2] != c.e {
			t.Errorf("fill %#x: %d and %d, want %d and %d", c.fill, s[2], e[2], c.s, c.e)
		}
	}
}

func TestShortSourceIsAnError(t *testing.T) {
	if err := sample.Ternary(bytes.NewReader(make([]byte, 15)), make([]int8, 2)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Ternary: %v", err)
	}
	if err := sample.Binomial(bytes.NewReader(make([]byte, 15)), make([]int32, 2), 1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Binomial: %v", err)
	}
}
