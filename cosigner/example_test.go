package cosigner_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"whither/cosigner"
	"whither/csi"
)

// users is whatever an MSP has to know its users by.
type users interface {
	SignedIn(ctx context.Context, token string) (account string, ok bool, err error)
	Owns(ctx context.Context, account string, id csi.ID) (bool, error)
}

// check asks users in the words of [cosigner.Accounts].
type check struct{ users users }

func (c check) Link(ctx context.Context, token string, id csi.ID) (cosigner.Link, error) {
	account, ok, err := c.users.SignedIn(ctx, token)
	if err != nil || !ok {
		return cosigner.NoAccount, err
	}
	owns, err := c.users.Owns(ctx, account, id)
	if err != nil || !owns {
		return cosigner.NotLinked, err
	}
	return cosigner.Linked, nil
}

// An MSP mounts the two endpoints beside its own, behind TLS 1.3 with the key
// that the registry pins for it.
func Example() {
	var (
		own         users                // the MSP's accounts
		config      cosigner.Config      // its id, key, secret, registry and store of used offers
		certificate tls.Certificate      // whose key the registry pins
		mux         = http.NewServeMux() // its other endpoints
	)
	config.Accounts, config.Now = check{own}, time.Now
	c, err := cosigner.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	for path, handler := range c.Routes() {
		mux.Handle(path, handler)
	}
	server := &http.Server{
		Handler: mux, ReadTimeout: 20 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}},
	}
	fmt.Println(server.ListenAndServeTLS("", ""))
	// Output:
	// cosigner: configuration: provider, key and secret are needed
}
