package choice

import (
	"maps"
	"sync"

	"whither/csi"
)

// Memory keeps what was chosen. Implementations are safe for concurrent use.
type Memory interface {
	// Recall returns all that is remembered of a contact, as it bears on a
	// question for a purpose; without a purpose, Past.Purpose is nil.
	Recall(id csi.ID, purpose string) (Past, error)
	// Remember stores notes, all of them or none, each in place of what was
	// remembered before. When it returns, they survive a crash.
	Remember(notes ...Note) error
	// Forget drops all that is remembered of contacts.
	Forget(ids ...csi.ID) error
}

// Ask is a question and the verified mappings of the contact that it is about.
type Ask struct {
	Question Question
	Mappings []Mapping
}

// Chooser chooses, and remembers what it chose.
type Chooser struct{ Memory Memory }

// Decide decides each question, in order, and remembers in one go what is new.
// After an error nothing is remembered, and the decisions are not to be followed.
func (c Chooser) Decide(asks ...Ask) ([]Decision, error) {
	var (
		out   []Decision
		notes []Note
	)
	for _, a := range asks {
		past, err := c.Memory.Recall(a.Question.CSI, a.Question.purpose())
		if err != nil {
			return nil, err
		}
		d := Decide(a.Question, a.Mappings, past)
		if d.Note != nil {
			notes = append(notes, *d.Note)
		}
		out = append(out, d)
	}
	if len(notes) > 0 {
		if err := c.Memory.Remember(notes...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Choose remembers the asker's word; see the function of that name.
func (c Chooser) Choose(a Ask, place Place) (Decision, error) {
	d, err := Choose(a.Question, a.Mappings, place)
	if err != nil {
		return Decision{}, err
	}
	return d, c.Memory.Remember(*d.Note)
}

// Scratch is a memory that ends with the process. The zero value is empty.
type Scratch struct {
	mu    sync.Mutex
	memos map[csi.ID]map[string]Memo
}

var _ Memory = (*Scratch)(nil)

// Recall implements [Memory].
func (s *Scratch) Recall(id csi.ID, purpose string) (Past, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var past Past
	for slot, m := range s.memos[id] {
		past.add(m, slot == "", slot == purpose)
	}
	return past, nil
}

// add puts a memo where it belongs.
func (p *Past) add(m Memo, general, purpose bool) {
	switch {
	case general:
		p.General = &m
	case purpose:
		p.Purpose = &m
	default:
		p.Others = append(p.Others, m)
	}
}

// Remember implements [Memory].
func (s *Scratch) Remember(notes ...Note) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memos == nil {
		s.memos = make(map[csi.ID]map[string]Memo)
	}
	for _, n := range notes {
		if s.memos[n.CSI] == nil {
			s.memos[n.CSI] = make(map[string]Memo)
		}
		s.memos[n.CSI][n.Purpose] = n.Memo
	}
	return nil
}

// Forget implements [Memory].
func (s *Scratch) Forget(ids ...csi.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.memos, func(id csi.ID, _ map[string]Memo) bool {
		for _, gone := range ids {
			if id == gone {
				return true
			}
		}
		return false
	})
	return nil
}
