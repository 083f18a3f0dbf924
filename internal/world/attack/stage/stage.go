// Package stage is where attacks take place: a federation on paper whose honest
// parties are real wherever something is decided (package cosigner for MSPs, the
// directory over a database for the DP), holders whose mappings live there, and
// the keys of the outside world. Package attack plays on it.
//
// It promises that honest parties do what they do in production, and that the
// stage is as it was after each attack ([Stage.Restore]). There are no sockets:
// provers are called as functions, by package attack.
package stage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"whither/client/offline"
	"whither/cosigner"
	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/offer"
	"whither/internal/sqlstore"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
	"whither/wire"
)

const day = 24 * time.Hour

// ErrHeld says that the DP has put a mapping on hold.
var ErrHeld = errors.New("stage: the DP holds it, since another lineage has the CSI")

// State is how a victim's CSI stands when the attack begins.
type State uint8

// The states.
const (
	Unlisted State = iota // nobody has enrolled it
	Listed                // its holder's mapping lives
	Ended                 // its holder has withdrawn her mapping, weeks ago
	States                // how many there are
)

// Victim is a CSI and its holder.
type Victim struct {
	State  State
	CSI    csi.ID
	Key    key.Private    // the holder's
	Honest mapping.Bundle // her mapping; none if Unlisted
}

// Stage is a federation and the outside world around it. Its keys are in the hands
// of whoever owns them.
type Stage struct {
	*worldtest.Federation
	Registry *registry.Snapshot // in force
	MSPs     map[string]*cosigner.Cosigner
	DP       *directory.Directory
	Outside  Outside
	// Provers are those that are assigned to the victims' CSIs, in their order, and
	// as the last of them one that is not.
	Provers []string

	root     []byte // root.json
	set      []byte // of the registry, as others are handed it
	store    *sqlstore.Directory
	victims  map[csi.Scheme][States]Victim
	keys     map[string]key.Private
	enrolled int // honest mappings made so far
}

// Names of parties beside those of worldtest.
const (
	SisterOfDP     = "prover-dp.example" // a prover of the DP's own operator
	SisterOfProver = "prover-z.example"  // a prover of prover A's operator
	OtherMSP       = worldtest.MSPB
	ObserverA      = "observer-a.example"
	ObserverB      = "observer-b.example"
)

// New sets the stage on an empty federation.
func New(f *worldtest.Federation) (*Stage, error) {
	w := &Stage{
		Federation: f, MSPs: make(map[string]*cosigner.Cosigner), victims: make(map[csi.Scheme][States]Victim),
		keys: make(map[string]key.Private),
	}
	for _, name := range []string{"prover-c.example", "prover-d.example", SisterOfDP, SisterOfProver} {
		f.Add(name, registry.RoleProver, nil)
	}
	f.Add(ObserverA, registry.RoleObserver, nil)
	f.Add(ObserverB, registry.RoleObserver, nil)
	// The laxest policy that a federation can agree on: where it asks for more,
	// less is possible.
	f.Record.Policy.Levels = map[string]uint8{"mailto": 2, "tel": 2, "acct": 2}
	f.Grant(SisterOfDP).Operator = f.Grant(worldtest.DP).Operator
	if err := w.makeOutside(); err != nil {
		return nil, err
	}
	// Everybody has been there for long.
	for name, self := range f.Selfs {
		since := f.Now.Add(-400 * day).Unix()
		self.Issued, self.Keys[0].From = since, since
		f.Grant(name).Standing.Since = since
	}
	w.Registry = f.Snapshot()
	if err := w.castProvers(); err != nil {
		return nil, err
	}
	f.Grant(SisterOfProver).Operator = f.Grant(w.Provers[0]).Operator
	w.root, w.set = f.Set()
	w.Registry = f.Snapshot()
	if err := w.openDP(); err != nil {
		return nil, err
	}
	w.openMSPs()
	return w, w.enrolVictims()
}

// castProvers gives the provers their parts and finds numbers to which they are
// assigned in one order: two, a spare one, and one that is not assigned.
func (w *Stage) castProvers() error {
	var order []string
	next := 0
	for _, s := range []State{Unlisted, Listed, Ended} {
		for ; ; next++ {
			if next == 1<<16 {
				return fmt.Errorf("stage: no number to which provers are assigned as the first one's")
			}
			id := worldtest.CSI(w.T, fmt.Sprintf("tel:+4179%07d", next))
			ranks := w.ranks(id)
			if order == nil && !slices.Contains(ranks[:3], SisterOfProver) {
				order = ranks
			}
			if order != nil && slices.Equal(order[:4], ranks[:4]) {
				w.setVictim(csi.Tel, s, id)
				next++
				break
			}
		}
	}
	w.Provers = order[:4]
	for _, s := range []State{Unlisted, Listed, Ended} {
		w.setVictim(csi.Mailto, s, worldtest.CSI(w.T, "mailto:"+[States]string{"alice", "bob", "carol"}[s]+"@"+MailDomain))
	}
	return nil
}

func (w *Stage) setVictim(scheme csi.Scheme, s State, id csi.ID) {
	v := w.victims[scheme]
	v[s] = Victim{State: s, CSI: id, Key: worldtest.Key(w.T, "holder of "+id.Canonical())}
	w.victims[scheme] = v
}

// Granted returns what the registry in force says of a party.
func (w *Stage) Granted(name string) registry.Grant {
	p, _ := w.Registry.Party(worldtest.Party(w.T, name))
	return p.Grant
}

// ranks lists the provers in the order in which they are assigned to a CSI,
// without the one that the DP's operator runs.
func (w *Stage) ranks(id csi.ID) []string {
	var out []string
	for _, p := range possession.Assigned(w.Registry, id, w.Now) {
		if name := p.ID.String(); name != SisterOfDP {
			out = append(out, name)
		}
	}
	return out
}

// Victim returns the victim of a scheme in a state.
func (w *Stage) Victim(scheme csi.Scheme, s State) Victim { return w.victims[scheme][s] }

// Key returns the key that a name stands for.
func (w *Stage) Key(name string) key.Private {
	k, ok := w.keys[name]
	if !ok {
		k = worldtest.Key(w.T, name)
		w.keys[name] = k
	}
	return k
}

func (w *Stage) openDP() error {
	dir := w.T.TempDir()
	keys, err := sqlstore.MakeKeys(dir)
	if err != nil {
		return err
	}
	if w.store, err = sqlstore.OpenDirectory(w.Context(), sqlstore.Options{Path: filepath.Join(dir, "dp.db"), Keys: keys}); err != nil {
		return err
	}
	w.T.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			w.T.Error(err)
		}
	})
	party := worldtest.Party(w.T, worldtest.DP)
	w.DP, err = directory.New(directory.Config{
		Party: party, Key: w.Key(worldtest.DP), Offers: offer.NewMaker(party, [32]byte{1}), Store: w.store,
		Snapshot: func() *registry.Snapshot { return w.Registry },
	})
	return err
}

// Context is the test's.
func (w *Stage) Context() context.Context { return w.T.Context() }

func (w *Stage) clock() time.Time { return w.Now }

// accounts are an MSP's: which CSIs the account of a token has.
type accounts map[string][]csi.ID

// Link is what an MSP's account system answers.
func (a accounts) Link(_ context.Context, token string, id csi.ID) (cosigner.Link, error) {
	linked, ok := a[token]
	switch {
	case !ok:
		return cosigner.NoAccount, nil
	case slices.Contains(linked, id):
		return cosigner.Linked, nil
	}
	return cosigner.NotLinked, nil
}

// Tokens of accounts at both honest MSPs.
const (
	TokenOfStranger  = "stranger"  // has a CSI of the adversary's own
	TokenOfNeighbour = "neighbour" // has the neighbour's
	TokenOfReader    = "reader"    // opened by whoever gets what is sent to a victim's CSI: so do MSPs check
)

// used remembers offers as an MSP's store does.
type used struct {
	mu  sync.Mutex
	all map[mapping.Nonce]cosigner.Use
}

// Use records the first use of an offer.
func (u *used) Use(_ context.Context, n cosigner.Use) (time.Time, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, ok := u.all[n.Nonce]
	switch {
	case !ok:
		u.all[n.Nonce] = n
		return n.Signed, nil
	case before.Digest != n.Digest:
		return time.Time{}, cosigner.ErrOfferUsed
	}
	return before.Signed, nil
}

func (w *Stage) openMSPs() {
	for i, name := range []string{worldtest.MSPA, OtherMSP} {
		a := accounts{
			TokenOfStranger:  {worldtest.CSI(w.T, "mailto:stranger@elsewhere.example")},
			TokenOfNeighbour: {worldtest.CSI(w.T, "mailto:"+Neighbour)},
		}
		for _, set := range w.victims {
			for _, v := range set {
				a[TokenOfReader] = append(a[TokenOfReader], v.CSI)
			}
		}
		c, err := cosigner.New(cosigner.Config{
			Provider: worldtest.Party(w.T, name), Key: w.Key(name), Secret: cosigner.Secret{byte(i + 1)},
			Snapshot: func() *registry.Snapshot { return w.Registry }, Accounts: a,
			Used: &used{all: make(map[mapping.Nonce]cosigner.Use)}, Now: w.clock,
		})
		if err != nil {
			w.T.Fatal(err)
		}
		w.MSPs[name] = c
	}
}

// Receipts returns what two honest provers said of a CSI and a key at a time.
func (w *Stage) Receipts(id csi.ID, holder key.Public, at time.Time) [][]byte {
	kinds := []possession.Kind{possession.MailReply, possession.MailWitness}
	if id.Scheme() == csi.Tel {
		kinds = []possession.Kind{possession.CodeMessage, possession.CodeCall}
	}
	var out [][]byte
	for i, name := range w.Provers[:2] {
		r := w.Receipt(id, holder, kinds[i], at)
		r.Level = kinds[i].Best()
		out = append(out, w.SignReceipt(r, name))
	}
	return out
}

// enrolVictims makes the mappings that honest holders have made.
func (w *Stage) enrolVictims() error {
	for scheme := range w.victims {
		for _, s := range []State{Listed, Ended} {
			if err := w.enrolVictim(scheme, s); err != nil {
				return fmt.Errorf("stage: an honest holder's mapping: %w", err)
			}
		}
	}
	return nil
}

// enrolVictim has a victim do what brings her into her state.
func (w *Stage) enrolVictim(scheme csi.Scheme, s State) error {
	set := w.victims[scheme]
	v := set[s]
	if w.enrolled++; v.Honest.Mapping != nil {
		v.Key = w.Key(fmt.Sprintf("holder of %s, anew %d", v.CSI.Canonical(), w.enrolled))
	}
	var err error
	if v.Honest, err = w.enrol(v, w.Now.Add(-30*day)); err != nil {
		return err
	}
	if s == Ended {
		err = w.withdraw(v.Honest, v.Key, w.Now.Add(-20*day))
	} else {
		err = w.renew(&v)
	}
	set[s] = v
	w.victims[scheme] = set
	return err
}

// enrol makes an honest holder's mapping at the victim's MSP.
func (w *Stage) enrol(v Victim, at time.Time) (mapping.Bundle, error) {
	terms, err := w.DP.Offer(v.CSI, v.Key.Public(), at)
	if err != nil {
		return mapping.Bundle{}, err
	}
	c := w.Claims(v.CSI, v.Key.Public(), fmt.Sprintf("%s %d", v.CSI.Canonical(), w.enrolled), worldtest.MSPA)
	c.DPNonce, c.Expires = offer.Nonce(terms.Offer), at.Add(300*day)
	u, err := c.Sign(v.Key, w.Receipts(v.CSI, v.Key.Public(), at), at)
	if err != nil {
		return mapping.Bundle{}, err
	}
	if u, err = u.AddMSP(w.Key(worldtest.MSPA), at); err != nil {
		return mapping.Bundle{}, err
	}
	r, err := w.DP.Submit(w.Context(), terms.Offer, u.Bundle(), at)
	if err == nil && r.Held {
		err = ErrHeld
	}
	return r.Bundle, err
}

// renew gives a victim's mapping a signature of today.
func (w *Stage) renew(v *Victim) error {
	u, err := mapping.Parse(v.Honest)
	if err != nil {
		return err
	}
	v.Honest, err = w.DP.Renewed(w.Context(), u.Claims().ID, w.Now)
	return err
}

// withdraw ends a mapping with its holder's key.
func (w *Stage) withdraw(b mapping.Bundle, holder key.Private, at time.Time) error {
	u, err := mapping.Parse(b)
	if err != nil {
		return err
	}
	statement, err := u.Claims().Withdraw(holder, u.Digest(), at)
	if err != nil {
		return err
	}
	return w.DP.Withdraw(w.Context(), statement, at)
}

// Believes is what a client does with the mappings of an answer.
func (w *Stage) Believes(b mapping.Bundle) (mapping.Verified, error) {
	u, err := mapping.Parse(b)
	if err != nil {
		return mapping.Verified{}, err
	}
	v, err := mapping.PolicyAt(w.Registry, w.Now).Verify(u)
	if err != nil {
		return mapping.Verified{}, err
	}
	return v, w.exported(b)
}

// exported is what somebody else's client does with what it is handed: the mapping
// and the registry's file, verified offline against the root.
func (w *Stage) exported(b mapping.Bundle) error {
	file, err := offline.Export{Bundle: wire.BundleOf(b), Registry: w.set}.Encode()
	if err != nil {
		return err
	}
	_, _, err = offline.Verify(file, w.root, w.Now)
	return err
}

// Restore undoes what an attack has done at the honest DP, so that the next one
// finds the world as it was. The adversary's mappings are its to withdraw.
func (w *Stage) Restore(v Victim) error {
	live, err := w.store.Find(w.Context(), []csi.ID{v.CSI}, w.Now)
	if err != nil {
		return err
	}
	honest, joined := -1, false // whether somebody is in the holder's lineage who stays there
	for i, s := range live[0] {
		if slices.Equal(s.Bundle.Mapping, v.Honest.Mapping) {
			honest = i
		}
	}
	for i, s := range live[0] {
		if i == honest {
			continue
		}
		joined = joined || honest >= 0 && s.Lineage == live[0][honest].Lineage
		if err := w.store.Withdraw(w.Context(), s.ID, s.Digest, w.Now); err != nil {
			return err
		}
	}
	if v.State != Listed || honest >= 0 && !joined {
		return nil
	}
	if honest >= 0 {
		if err := w.store.Withdraw(w.Context(), live[0][honest].ID, live[0][honest].Digest, w.Now); err != nil {
			return err
		}
	}
	return w.enrolVictim(v.CSI.Scheme(), v.State) // under a new key
}

// Expel gives everybody a registry in which the provers have been put out since
// yesterday, until undo is called.
func (w *Stage) Expel() (undo func()) {
	set, snapshot := w.set, w.Registry
	for _, name := range w.Provers {
		w.Grant(name).Standing = registry.Standing{State: registry.Expelled, Since: w.Now.Add(-day).Unix()}
	}
	_, w.set = w.Set()
	w.Registry = w.Snapshot()
	return func() {
		for _, name := range w.Provers {
			w.Grant(name).Standing = registry.Standing{State: registry.Active, Since: w.Now.Add(-400 * day).Unix()}
		}
		w.set, w.Registry = set, snapshot
	}
}
