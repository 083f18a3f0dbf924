package world

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"whither/internal/world/mailca"
)

// startAuthority starts the authority that certifies mailboxes, with a
// certificate for everybody, and publishes its revocation list over HTTP, where
// such lists are.
func (w *World) startAuthority(ctx, running context.Context) error {
	var err error
	if w.MailAuthority, err = mailca.New("Mailboxes of "+MailDomain, w.config.Now); err != nil {
		return err
	}
	w.Certificates = make(map[string]*mailca.Person)
	for _, p := range w.config.People {
		if w.Certificates[p.Address()], err = w.MailAuthority.Certify(p.Address()); err != nil {
			return err
		}
	}
	if err := os.WriteFile(w.mailAuthority(), w.MailAuthority.PEM(), 0o600); err != nil {
		return err
	}
	l, err := listen(ctx)
	if err != nil {
		return err
	}
	w.lists = "http://" + l.Addr().String() + "/mailboxes.crl"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mailboxes.crl", func(rw http.ResponseWriter, _ *http.Request) {
		list, err := w.MailAuthority.List()
		if err != nil {
			http.Error(rw, "no list", http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", "application/pkix-crl")
		_, _ = rw.Write(list)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	w.run(running, "mail authority", func(context.Context) error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	w.run(running, "mail authority", func(ctx context.Context) error {
		<-ctx.Done()
		return server.Close()
	})
	return nil
}

// mailAuthority is the file with the certificate of the authority.
func (w *World) mailAuthority() string { return w.Path("mail-authority.pem") }
