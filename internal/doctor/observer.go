package doctor

import (
	"context"
	"time"

	"whither/internal/observer/daemon"
	"whither/internal/observer/resolver"
	"whither/registry"
)

func readObserver(dir, path string) (subject, error) {
	s, err := daemon.ReadSettings(path)
	if err != nil {
		return subject{}, err
	}
	return subject{
		dir: dir, role: registry.RoleObserver, party: s.Party, registry: s.Registry, root: s.Root,
		ports: []port{{"listen", s.Listen}, {"operations", s.Operations}},
		keys:  []secret{rowKeys(dir)},
		more: func(r *Report, _ *registry.Snapshot, _ time.Time) {
			r.resolver(s.Resolver, s.ResolverProtected, s.SignedZone)
			if len(s.Popular) == 0 {
				r.warn("lists", "fill in [[popular]], so that people at these names need not be asked about", "no popular names: no daily lists")
			} else {
				r.ok("lists", "%d popular names", len(s.Popular))
			}
		},
	}, nil
}

// resolver asks the resolver for the keys of a zone that is signed.
func (r *Report) resolver(address string, protected bool, signed string) {
	const mend = "have a validating resolver on this machine and name it as resolver; docs/operate.md has settings for one"
	c, err := resolver.New(address, protected)
	if err != nil {
		r.wrong("resolver", mend, "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), network)
	defer cancel()
	switch validates, err := c.Validates(ctx, signed); {
	case err != nil:
		r.wrong("resolver", mend, "%v", err)
	case !validates:
		r.warn("resolver", mend, "it does not validate DNSSEC, or cannot be believed that it does")
	default:
		r.ok("resolver", "it answers, and validates DNSSEC")
	}
}
