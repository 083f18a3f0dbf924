// Package operator has the commands of whither for those who run a federation or
// a party of one: they make folders, keys and registries, and look after stores.
// They are structs that a command line fills in; cmd/whither mounts them.
package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"whither/internal/console"
	"whither/internal/dp"
	"whither/internal/msp"
	watch "whither/internal/observer/daemon"
	"whither/internal/party"
	"whither/internal/person"
	"whither/internal/prover/daemon"
	"whither/internal/publish"
	"whither/internal/sqlstore"
	"whither/mapping"
	"whither/registry"
	"whither/registry/update"
)

// Registry is the command for those who run a federation.
type Registry struct {
	Init   registryInit   `cmd:"" help:"Make the folder of a new federation, with its keys."`
	Admit  registryAdmit  `cmd:"" help:"Take in a member's application, or a member's new word."`
	Close  registryClose  `cmd:"" help:"End a membership in good standing."`
	Expel  registryExpel  `cmd:"" help:"End a membership; what the member signed since does not count."`
	Rotate registryRotate `cmd:"" help:"Change the keys of a role of the federation."`
	Sign   registrySign   `cmd:"" help:"Sign and publish what is new in the members' folders."`
	Serve  registryServe  `cmd:"" help:"Serve what is published, and keep its timestamp young."`
	Show   registryShow   `cmd:"" help:"Show who is in a registry file."`
}

type registryInit struct {
	Folder string `arg:"" help:"The federation's new folder." type:"path"`
	Name   string `arg:"" help:"The federation's name, as federation.example."`

	Roots            int `help:"How many keys say who signs." default:"3" placeholder:"N"`
	RootThreshold    int `help:"How many of them must agree." default:"2" placeholder:"N"`
	Signers          int `help:"How many keys sign the grants." default:"1" placeholder:"N"`
	SignersThreshold int `help:"How many of them must agree." default:"1" placeholder:"N"`
}

// Run makes the folder.
func (c registryInit) Run(s *console.Console) error {
	roots, signers := publish.Count{Keys: c.Roots, Threshold: c.RootThreshold}, publish.Count{Keys: c.Signers, Threshold: c.SignersThreshold}
	if err := publish.Init(c.Folder, c.Name, roots, signers, s.Now()); err != nil {
		return err
	}
	return s.Print(map[string]string{"folder": c.Folder}, fmt.Sprintf(
		"made %s; take the keys %s away from this machine, each to another place, and give %s to everybody\nthen, for each member: whither registry admit %s APPLICATION, and at the end: whither registry sign %s",
		c.Folder, filepath.Join(publish.KeysFolder, "root-N.pem"), publish.RootFile, c.Folder, c.Folder))
}

type registrySign struct {
	Folder string `arg:"" help:"The federation's folder." type:"existingdir"`
}

// Run signs.
func (c registrySign) Run(s *console.Console) error {
	r, err := publish.Sign(c.Folder, s.Now())
	if err != nil {
		return err
	}
	return s.Print(map[string]any{"version": r.Version(), "expires": r.Expires().UTC()}, fmt.Sprintf(
		"published version %d, good until %s; serve %s, or give %s to every member", r.Version(), r.Expires().UTC().Format(time.RFC3339),
		filepath.Join(c.Folder, publish.PublicFolder), filepath.Join(c.Folder, publish.RegistryFile)))
}

type registryShow struct {
	File string `arg:"" help:"A file with a registry, as registry.set." type:"existingfile"`
	Root string `help:"Who may sign it." type:"existingfile" required:"" placeholder:"FILE"`
}

// Run verifies and shows.
func (c registryShow) Run(s *console.Console) error {
	source, err := update.OpenFiles(c.File, c.Root, s.Now())
	if err != nil {
		return err
	}
	r := source.Snapshot()
	rows := [][]string{{"PARTY", "ROLE", "OPERATOR", "STANDING", "KEEPS DATA IN", "ENDPOINT"}}
	list := []map[string]any{}
	for _, role := range []registry.Role{registry.RoleDP, registry.RoleMSP, registry.RoleProver, registry.RoleObserver} {
		for _, p := range r.Members(role) {
			rows = append(rows, []string{
				p.ID.String(), string(role), p.Operator.String(), string(p.Standing.State), strings.Join(p.Jurisdictions, " "), p.Self.Endpoint,
			})
			list = append(list, map[string]any{
				"id": p.ID, "role": role, "operator": p.Operator, "standing": p.Standing.State,
				"jurisdictions": append([]string{}, p.Jurisdictions...), "endpoint": p.Self.Endpoint,
			})
		}
	}
	digest := r.Digest()
	if !s.JSON {
		if _, err := fmt.Fprintf(s.Out, "%s, version %d, digest %x, good until %s\n", r.Federation(), r.Version(), digest[:8], r.Expires().UTC().Format(time.RFC3339)); err != nil {
			return err
		}
	}
	return s.Table(map[string]any{"federation": r.Federation(), "version": r.Version(), "digest": fmt.Sprintf("%x", digest), "parties": list}, rows)
}

// Party is the command for those who run a DP, an MSP, a prover or an observer.
type Party struct {
	Folder       string   `arg:"" help:"The party's new folder." type:"path"`
	ID           string   `help:"Its id, a DNS name; of an MSP the provider domain." required:"" placeholder:"NAME"`
	Role         string   `help:"dp, msp, prover or observer." enum:"dp,msp,prover,observer" required:""`
	Operator     string   `help:"Who runs it, a DNS name." required:"" placeholder:"NAME"`
	Endpoint     string   `help:"Where others reach it, as https://dp.example:8443." required:"" placeholder:"URL"`
	Listen       string   `help:"The address to listen on; by default every one, port 8443." placeholder:"ADDR"`
	Operations   string   `help:"The address for health and metrics; by default 127.0.0.1:9443." placeholder:"ADDR"`
	Jurisdiction []string `help:"Countries where it keeps data, as CH." placeholder:"CC"`
	DP           string   `help:"For an MSP: the DP that it asks." name:"dp" placeholder:"NAME"`
	MailListen   string   `help:"For a prover: the address for mail servers; by default every one, port 25." placeholder:"ADDR"`
}

// Run makes keys, settings and an application to the federation.
func (c Party) Run(s *console.Console) error {
	id, err := registry.ParsePartyID(c.ID)
	if err != nil {
		return fmt.Errorf("%w: --id: %w", console.ErrUsage, err)
	}
	operator, err := registry.ParseOperator(c.Operator)
	if err != nil {
		return fmt.Errorf("%w: --operator: %w", console.ErrUsage, err)
	}
	if (c.Role == string(registry.RoleMSP)) != (c.DP != "") {
		return fmt.Errorf("%w: --dp goes with --role msp", console.ErrUsage)
	}
	file, settings, err := c.make(id, s.Now())
	if err != nil {
		return err
	}
	if err := person.WriteFile(filepath.Join(c.Folder, file), []byte(settings)); err != nil {
		return err
	}
	var digest []byte
	if c.Role == string(registry.RoleDP) {
		if digest, err = c.disclose(s); err != nil {
			return err
		}
	}
	application, err := publish.Apply(c.Folder, id, operator, registry.Role(c.Role), c.Endpoint, c.Jurisdiction, digest, s.Now())
	if err != nil {
		return err
	}
	text := fmt.Sprintf("made %s\ngive the files in %s to the federation; put the registry that comes back, and its root, into %s\nthen: whither-%s -config %s",
		c.Folder, application, filepath.Join(c.Folder, "registry"), c.Role, filepath.Join(c.Folder, file))
	return s.Print(map[string]string{"folder": c.Folder, "application": application}, text)
}

// disclose prints what a new DP will disclose, and returns its digest for the
// application.
func (c Party) disclose(s *console.Console) ([]byte, error) {
	settings, err := dp.ReadSettings(filepath.Join(c.Folder, dp.SettingsFile))
	if err != nil {
		return nil, err
	}
	document, digest, err := settings.Disclose(c.Jurisdiction)
	if err == nil && !s.JSON {
		_, err = fmt.Fprintf(s.Out, "it discloses, with the digest %x: %s\n", digest, document)
	}
	return digest, err
}

// make makes what is secret in the folder and returns the settings file.
func (c Party) make(id registry.PartyID, now time.Time) (name, settings string, err error) {
	lines := []string{fmt.Sprintf("party = %q", c.ID)}
	add := func(key, value string) {
		if value != "" {
			lines = append(lines, fmt.Sprintf("%s = %q", key, value))
		}
	}
	add("listen", c.Listen)
	add("operations", c.Operations)
	switch registry.Role(c.Role) {
	case registry.RoleDP:
		name, err = dp.SettingsFile, dp.MakeKeys(c.Folder, id, now)
	case registry.RoleMSP:
		add("dp", c.DP)
		name, err = msp.SettingsFile, msp.MakeKeys(c.Folder, id, now)
	case registry.RoleObserver:
		name, err = watch.SettingsFile, watch.MakeKeys(c.Folder, id, now)
	default:
		lines = append(lines, "", "[mail]")
		add("host", "mx."+c.ID)
		add("listen", c.MailListen)
		settings := daemon.Settings{Settings: party.Settings{Party: c.ID}, Mail: daemon.MailSettings{Host: "mx." + c.ID}}
		name, err = daemon.SettingsFile, daemon.MakeKeys(c.Folder, settings, now)
	}
	return name, strings.Join(lines, "\n") + "\n", err
}

// Fsck checks a DP's store.
type Fsck struct {
	Folder string `arg:"" help:"The DP's folder." type:"existingdir"`
}

// Run reads the whole store, judges every mapping as an asker would, and says
// what is wrong. It changes nothing and may run beside the DP.
func (c Fsck) Run(ctx context.Context, s *console.Console) (err error) {
	keys, err := sqlstore.LoadKeys(c.Folder)
	if err != nil {
		return err
	}
	settings, err := dp.ReadSettings(filepath.Join(c.Folder, dp.SettingsFile))
	if errors.Is(err, os.ErrNotExist) {
		settings, err = dp.Settings{Settings: party.Settings{Registry: "../registry/registry.set", Root: "../registry/root.json"}}, nil // a demo's
	}
	if err != nil {
		return err
	}
	source, err := update.OpenFiles(below(c.Folder, settings.Registry), below(c.Folder, settings.Root), s.Now())
	if err != nil {
		return err
	}
	at, err := settings.Place(c.Folder)
	if err != nil {
		return err
	}
	if at.Path != "" { // to look is not to make one
		if _, err := os.Stat(at.Path); err != nil {
			return fmt.Errorf("no store in %s: %w", c.Folder, err)
		}
	}
	store, err := sqlstore.OpenDirectory(ctx, sqlstore.Options{Path: at.Path, URL: at.URL, Keys: keys})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	policy := mapping.PolicyAt(source.Snapshot(), s.Now())
	report, err := store.Fsck(ctx, func(u mapping.Unverified) error {
		_, err := policy.VerifyForRenewal(u)
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range report.Problems {
		_, _ = fmt.Fprintln(s.ErrOut, "damaged:", p)
	}
	if err := s.Print(report, fmt.Sprintf("%d mappings, %d of them do not hold any more; %d tombstones, %d used offers, %d changes; %d damaged",
		report.Mappings, report.Refused, report.Tombstones, report.Nonces, report.Changes, report.Damaged)); err != nil {
		return err
	}
	if !report.Sound() {
		return errors.New("the store is damaged; stop the DP and restore a backup with its keys")
	}
	return nil
}

// below resolves a path of a settings file.
func below(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
