package dp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"whither/disclosure"
	"whither/internal/dp/directory"
	"whither/internal/dp/server"
	"whither/internal/offer"
	"whither/internal/publish"
	"whither/key"
	"whither/registry"
	"whither/wire"
)

// LimitSettings are bounds that a DP draws closer than all do: the table [limits]
// of dp.toml. Of each, zero is the widest.
type LimitSettings struct {
	Body       int      `toml:"body"`        // bytes of a request, 4,096 to 65,536
	CSIs       int      `toml:"csis"`        // in one look-up, 1 to 1,000
	Mappings   int      `toml:"mappings"`    // alive of one CSI, 1 to 16
	OfferHours int      `toml:"offer_hours"` // life of an offer, 1 to 24
	Formats    []string `toml:"formats"`     // of answers to look-ups: "verbose", "compact"
}

// leastBody is room for a submission.
const leastBody = 4 << 10

// check says what is out of bounds.
func (l LimitSettings) check() error {
	for _, one := range []struct {
		name               string
		value, least, most int
	}{
		{"body", l.Body, leastBody, wire.MaxBody},
		{"csis", l.CSIs, 1, wire.MaxLookup},
		{"mappings", l.Mappings, 1, directory.MaxLive},
		{"offer_hours", l.OfferHours, 1, int(offer.Life / time.Hour)},
	} {
		if one.value != 0 && (one.value < one.least || one.value > one.most) {
			return fmt.Errorf("dp: %s: limits.%s is %d to %d", SettingsFile, one.name, one.least, one.most)
		}
	}
	for _, f := range l.Formats {
		if f != wire.FormatVerbose && f != wire.FormatCompact {
			return fmt.Errorf("dp: %s: limits.formats: no format is named %q", SettingsFile, f)
		}
	}
	return nil
}

// lookups returns what the server is told.
func (l LimitSettings) lookups() server.Lookups {
	return server.Lookups{Body: l.Body, CSIs: l.CSIs, Formats: slices.Compact(slices.Sorted(slices.Values(l.Formats)))}
}

// offerLife is how long offers live.
func (l LimitSettings) offerLife() time.Duration {
	return cmp.Or(time.Duration(l.OfferHours)*time.Hour, offer.Life)
}

// Disclosure is the document of how the DP behaves now (R11).
func (d *DP) Disclosure() (disclosure.Document, error) {
	return d.server.Disclosure(d.config.Registry.Snapshot())
}

// Disclosed returns nil where the registry names the document that the DP serves;
// else an error of package disclosure.
func (d *DP) Disclosed() error { return d.server.Disclosed() }

// checkDisclosed is for readiness: a DP that nobody knows a document of is like one
// before documents, and works; one that contradicts its own word does not want
// to be asked before that is mended.
func (d *DP) checkDisclosed() error {
	err := d.Disclosed()
	if errors.Is(err, disclosure.ErrAbsent) {
		return nil
	}
	return err
}

// warnDisclosed says at the start what is not as disclosed.
func (d *DP) warnDisclosed(ctx context.Context) {
	if err := d.Disclosed(); err != nil {
		d.config.Log.WarnContext(ctx, "not as disclosed; apply again, and have the registry signed", slog.Any("error", err))
	}
}

// Describe returns the document that a DP with these settings serves as a party
// that keeps data in the given countries. It needs no keys, registry or store: it
// is for the application of a new DP.
func (s Settings) Describe(jurisdictions []string) (disclosure.Document, error) {
	id, err := s.ID()
	if err != nil {
		return disclosure.Document{}, err
	}
	demands, err := s.Evidence.demands()
	if err != nil {
		return disclosure.Document{}, err
	}
	c := directory.Config{
		Party: id, Demands: demands, Live: cmp.Or(s.Limits.Mappings, directory.MaxLive), SignatureLife: s.signatureLife(),
		Offers: offer.NewMaker(id, [offer.SecretSize]byte{}).For(s.Limits.offerLife()),
	}
	return server.Describe(id, c, s.Limits.lookups(), jurisdictions), nil
}

// signatureLife is how long a signature is good.
func (s Settings) signatureLife() time.Duration {
	return time.Duration(cmp.Or(s.SignatureDays, 7)) * 24 * time.Hour
}

// Disclose returns the bytes of that document, and their digest.
func (s Settings) Disclose(jurisdictions []string) (document, digest []byte, err error) {
	d, err := s.Describe(jurisdictions)
	if err != nil {
		return nil, nil, err
	}
	if document, err = d.Marshal(); err != nil {
		return nil, nil, err
	}
	sum := disclosure.Digest(document)
	return document, sum[:], nil
}

// Document returns what the settings disclose under the registry of their folder.
func Document(ctx context.Context, settingsPath string, now time.Time) ([]byte, error) {
	_, _, document, err := document(ctx, settingsPath, now)
	return document, err
}

// Reapply writes into a DP's folder an application like what the registry has of
// it, with the digest of what the settings disclose now: what follows a change of
// them. It returns the folder of the application.
func Reapply(ctx context.Context, settingsPath string, now time.Time) (string, error) {
	operator, word, _, err := document(ctx, settingsPath, now)
	if err != nil {
		return "", err
	}
	self, err := registry.SignSelf(word, operator)
	if err != nil {
		return "", fmt.Errorf("dp: self record: %w", err)
	}
	return publish.Renew(filepath.Dir(settingsPath), word.ID, self)
}

// document returns what the settings disclose, and the self record that says so.
func document(ctx context.Context, settingsPath string, now time.Time) (operator key.Private, word registry.Self, document []byte, err error) {
	s, err := ReadSettings(settingsPath)
	if err != nil {
		return operator, word, nil, err
	}
	m, err := s.Open(ctx, filepath.Dir(settingsPath), now)
	if err != nil {
		return operator, word, nil, fmt.Errorf("dp: %s: %w", SettingsFile, err)
	}
	own, ok := m.Registry.Snapshot().Party(m.ID)
	if !ok {
		return operator, word, nil, fmt.Errorf("dp: %s is not in the registry; its first application is made by whither party", m.ID)
	}
	word = own.Self
	word.Issued = now.Unix()
	document, word.Disclosure, err = s.Disclose(own.Jurisdictions)
	return m.Operator, word, document, err
}
