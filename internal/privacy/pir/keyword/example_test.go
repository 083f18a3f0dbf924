package keyword_test

import (
	"crypto/rand"
	"fmt"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/keyword"
)

// A DP builds a table of two entries and answers one question.
func Example() {
	shape := keyword.Shape{SlotSize: 32, Columns: 64, Slots: 4, StashColumns: 64, StashSlots: 4}
	entries := []keyword.Entry{
		{Key: keyword.Key{1}, Value: []byte("one provider")},
		{Key: keyword.Key{2}, Value: []byte("two providers")},
	}
	table, err := keyword.Build(keyword.Config{
		Identity: pir.Identity{DP: "dp.example", Table: 1, Epoch: 7},
		Shape:    shape, Engine: pir.BestEngine(2), Rand: rand.Reader,
	}, entries)
	if err != nil {
		fmt.Println(err)
		return
	}
	snapshot := table.Snapshot()

	// The client, with the parameters that the DP publishes.
	question, err := keyword.Ask(rand.Reader, snapshot.Params(), keyword.Key{2}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	// The server.
	query, err := snapshot.Decode(question.Query())
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := snapshot.Answer(pir.BestEngine(1), []*pir.Query{query})[0]
	// The client again.
	value, found, _, err := question.Open(answer)
	fmt.Printf("%s, %v, %v\n", value, found, err)
	// Output: two providers, true, <nil>
}
