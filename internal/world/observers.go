package world

import (
	"context"

	"whither/internal/observer/daemon"
)

func (w *World) makeObserver(m *member) error {
	return daemon.MakeKeys(w.Path(m.name), m.id, w.config.Now())
}

// openObserver opens an observer that asks the world's name server and OpenID
// provider. Those are popular there.
func (w *World) openObserver(ctx context.Context, m *member) (func(context.Context) error, error) {
	s := daemon.Settings{
		Settings: w.settings(m), Resolver: w.Mail.DNS.Addr(), Web: w.Web(),
		Popular: []daemon.Popular{
			{Domain: MailDomain, Selectors: []string{w.Provider.Selector()}},
			{Issuer: w.Identity.Issuer()},
		},
	}
	o, closeStore, err := daemon.Open(ctx, w.Path(m.name), s.Filled(), daemon.Options{
		Now: w.config.Now, Log: w.log(m.name), Tick: w.config.Tick, Tap: w.tap(m.name),
	})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, closeStore)
	w.watch = append(w.watch, o)
	return func(ctx context.Context) error { return o.Serve(ctx, m.listener, nil) }, nil
}
