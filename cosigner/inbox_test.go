package cosigner_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"whither/cosigner"
	"whither/csi"
	"whither/internal/endpoint"
	"whither/internal/world/worldtest"
	"whither/registry"
	"whither/wire"
)

// inbox keeps in memory.
type inbox struct {
	t     testing.TB
	boxes map[cosigner.Box][]wire.Notice
}

func (i *inbox) Keep(_ context.Context, b cosigner.Box, n wire.Notice, now time.Time) (bool, error) {
	if b == (cosigner.Box{}) || n.Until <= now.Unix() {
		i.t.Errorf("contract: %x %+v", b, n)
	}
	i.boxes[b] = append(i.boxes[b], n)
	return true, nil
}

func (i *inbox) Kept(_ context.Context, b cosigner.Box, _ time.Time) ([]wire.Notice, error) {
	return i.boxes[b], nil
}

// TestR17IncumbentIsToldByItsMSP: a DP's notice reaches the user whose account
// has the CSI, and nobody else.
func TestR17IncumbentIsToldByItsMSP(t *testing.T) {
	s := newScene(t)
	kept := &inbox{t: t, boxes: make(map[cosigner.Box][]wire.Notice)}
	s.config.Inbox = kept
	s.msp = s.cosigner()
	dp, _ := s.snapshot.Party(worldtest.Party(t, worldtest.DP))
	msp, _ := s.snapshot.Party(worldtest.Party(t, worldtest.MSPB))
	notice := wire.Notice{Kind: wire.NoticeClaim, Mapping: make([]byte, 16), Since: s.now.Unix(), Until: s.now.Add(time.Hour).Unix()}
	send := func(who registry.Party, is bool, n wire.Notice) error {
		_, err := cosigner.HandleNotice(s.msp, t.Context(), endpoint.Caller{Party: who, IsParty: is}, wire.NoticeRequest{CSI: csi.Clear{ID: s.id}, Notice: n})
		return err
	}
	late, short, odd := notice, notice, notice
	late.Until, short.Mapping, odd.Kind = s.now.Unix(), []byte{1}, "advertisement"
	for _, test := range []struct {
		name string
		err  error
		want error
	}{
		{"an MSP", send(msp, true, notice), cosigner.ErrNotADP},
		{"somebody without a certificate", send(dp, false, notice), cosigner.ErrNotADP},
		{"of no use any more", send(dp, true, late), cosigner.ErrNotice},
		{"without a mapping", send(dp, true, short), cosigner.ErrNotice},
		{"of another kind", send(dp, true, odd), cosigner.ErrNotice},
		{"a DP", send(dp, true, notice), nil},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v", test.name, test.err)
		}
	}
	read := func(token string, id csi.ID) ([]wire.Notice, error) {
		a, err := cosigner.HandleInbox(s.msp, t.Context(), endpoint.Caller{Token: token}, wire.InboxRequest{CSI: csi.Clear{ID: id}})
		return a.Notices, err
	}
	if got, err := read(aliceToken, s.id); err != nil || len(got) != 1 || got[0].Kind != wire.NoticeClaim {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := read("guess", s.id); !errors.Is(err, cosigner.ErrNoAccount) {
		t.Errorf("a stranger reads: %v", err)
	}
	if _, err := read(aliceToken, worldtest.CSI(t, "mailto:bob@example.org")); !errors.Is(err, cosigner.ErrNotLinked) {
		t.Errorf("another user's box: %v", err)
	}
	s.config.Inbox = nil
	s.msp = s.cosigner()
	if err := send(dp, true, notice); !errors.Is(err, cosigner.ErrNoInbox) {
		t.Errorf("without an inbox: %v", err)
	}
}
