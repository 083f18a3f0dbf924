package operator

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"whither/internal/console"
	"whither/internal/keyfile"
	"whither/internal/publish"
	"whither/registry"
)

type registryAdmit struct {
	Folder      string `arg:"" help:"The federation's folder." type:"existingdir"`
	Application string `arg:"" help:"The folder that the member handed in." type:"existingdir"`
}

// Run takes an application in; the next signature publishes it.
func (c registryAdmit) Run(s *console.Console) error {
	id, err := publish.Admit(c.Folder, c.Application, s.Now())
	if err != nil {
		return err
	}
	return s.Print(map[string]any{"id": id}, fmt.Sprintf("%s is in; read what it is granted in %s, then: whither registry sign %s",
		id, filepath.Join(c.Folder, publish.MembersFolder, id.String(), publish.GrantFile), c.Folder))
}

// ending is what closing and expelling have in common.
type ending struct {
	Folder string    `arg:"" help:"The federation's folder." type:"existingdir"`
	ID     string    `arg:"" help:"The member's id."`
	Since  time.Time `help:"From when on (RFC 3339); by default now." placeholder:"TIME"`
}

type (
	registryClose struct{ ending }
	registryExpel struct{ ending }
)

// Run closes a membership.
func (c registryClose) Run(s *console.Console) error { return c.end(s, registry.Closed) }

// Run expels a member.
func (c registryExpel) Run(s *console.Console) error { return c.end(s, registry.Expelled) }

func (c ending) end(s *console.Console, state registry.State) error {
	id, err := registry.ParsePartyID(c.ID)
	if err != nil {
		return fmt.Errorf("%w: ID: %w", console.ErrUsage, err)
	}
	since := c.Since
	if since.IsZero() {
		since = s.Now()
	}
	if err := publish.Stand(c.Folder, id, state, since); err != nil {
		return err
	}
	return s.Print(map[string]any{"id": id, "standing": state, "since": since.UTC()}, fmt.Sprintf(
		"%s is %s since %s once you publish it: whither registry sign %s", id, state, since.UTC().Format(time.RFC3339), c.Folder))
}

type registryRotate struct {
	Folder string `arg:"" help:"The federation's folder." type:"existingdir"`
	Role   string `arg:"" help:"root, federation (who signs the grants) or publication." enum:"root,federation,publication"`
}

// Run changes keys and publishes all that they sign.
func (c registryRotate) Run(s *console.Console) error {
	if err := publish.Rotate(c.Folder, c.Role, s.Now()); err != nil {
		return err
	}
	r, err := publish.Sign(c.Folder, s.Now())
	if err != nil {
		return err
	}
	return s.Print(map[string]any{"role": c.Role, "version": r.Version()}, fmt.Sprintf(
		"new %s keys sign from version %d on; nobody has to be given a new root.json; destroy the files %s",
		c.Role, r.Version(), filepath.Join(c.Folder, publish.KeysFolder, c.Role+"*.old")))
}

type registryServe struct {
	Folder      string `arg:"" help:"The federation's folder, with the publication key and no other." type:"existingdir"`
	Listen      string `help:"The address to listen on." default:":8443" placeholder:"ADDR"`
	Certificate string `help:"Certificate and chain, in PEM." type:"existingfile" required:"" placeholder:"FILE"`
	Key         string `help:"Its key, in PEM; by default in the same file." type:"existingfile" placeholder:"FILE"`
}

// Run serves until it is interrupted.
func (c registryServe) Run(ctx context.Context, s *console.Console) error {
	if c.Key == "" {
		c.Key = c.Certificate
	}
	certificate, err := keyfile.Certificate(c.Certificate, c.Key)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(s.ErrOut, nil))
	log.InfoContext(ctx, "serving", slog.String("publication", c.Folder), slog.String("listen", l.Addr().String()))
	config := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}
	return publish.Serve(ctx, c.Folder, l, config, s.Now, log)
}
