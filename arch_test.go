package whither_test

import (
	"os"
	"testing"
)

// DO NOT CHANGE THIS DATA TO FIX BUILDS.
//
// The tables below say which package may know which. They are the design, not
// a description of what the code happens to do: a build that breaks here has
// most likely put something on the wrong floor. Adding a new room, or moving
// one out of rooms.planned on the day it is built, is ordinary work. Relaxing
// a rule needs a decision record in docs/adr and a reviewer who agrees with it.
//
// Lists of packages are separated by spaces. "x/..." means x and all below it.
// Paths without a dot in their first element are of this module or of the
// standard library; no path is both.
//
// The rules hold for production code. Test files may import what they like,
// but see [house.testFile].
var rules = house{
	module: "whither",

	// Import downwards only. Same floor only where sameFloor says so. A package
	// that stands here must exist, unless it is planned; a package that exists
	// must stand here.
	floors: [][]string{
		// 0: facts.
		{".", "internal/canon", "internal/cose", "internal/dkim", "internal/jws", "key", "csi", "problem", "registry", "vectors"},
		// 1: statements and messages.
		{"possession", "possession/mail", "possession/observe", "possession/openid", "possession/smime", "possession/stir", "possession/stir/chain", "possession/stir/jose", "possession/stir/passport", "possession/stir/stirtest", "possession/stir/tnauth", "mapping", "mapping/ending", "mapping/pairing", "wire"},
		// 2: mechanisms, bytes in and bytes out.
		{
			"disclosure", "internal/offer", "registry/tuf", "translog",
			"internal/refusal", "internal/privacy/ohttp", "internal/privacy/token", "internal/privacy/oprf",
			"internal/privacy/vrf", "internal/privacy/pir",
			"internal/privacy/pir/batch", "internal/privacy/pir/kernel", "internal/privacy/pir/keyword", "internal/privacy/pir/packing",
			"internal/privacy/pir/ring", "internal/privacy/pir/sample", "internal/privacy/pir/slot",
		},
		// 3: roles. They decide, and own the interfaces that they need.
		{"internal/dp/directory", "internal/dp/docket", "internal/dp/events", "internal/dp/precedence", "internal/dp/retract", "internal/dp/federation", "internal/dp/snapshot", "internal/limit"},
		// 4: edges: HTTP, SMTP, SIP, SQL, HTML, files.
		{
			"client", "client/disclosed", "client/offline", "client/choice", "client/contacts", "client/sighting", "client/signin", "cosigner", "issuer", "relay", "registry/repository", "registry/update", "csi/national",
			"internal/certfetch", "internal/fetch", "internal/oidc", "internal/pinned", "internal/endpoint", "internal/completion", "internal/console", "internal/keyfile", "internal/pgserver", "internal/camara", "internal/party", "internal/publish", "internal/revocation", "internal/sipin", "internal/sipin/rtp", "internal/sipin/syntax", "internal/smtpout", "internal/observer", "internal/observer/resolver", "internal/dp/server", "internal/dp/console",
			"internal/prover", "internal/prover/bycode", "internal/prover/bymail", "internal/prover/byopenid", "internal/prover/bysip", "internal/prover/bysmime", "internal/prover/bystir", "internal/prover/drain",
			"internal/sqlstore", "internal/sqlstore/bare", "internal/sqlstore/sealed", "internal/sqlstore/sqldb", "internal/sqlstore/vault",
			"internal/sqlstore/mspstore", "internal/sqlstore/observerstore", "internal/sqlstore/proverstore",
			"internal/privacy/pir/pages",
		},
		// 5: whole roles put together.
		{
			"internal/dp", "internal/msp", "internal/observer/daemon", "internal/prover/daemon", "internal/doctor", "internal/demo", "internal/person", "internal/person/terminal", "internal/world", "internal/world/around", "internal/world/attack", "internal/world/attack/cast", "internal/world/attack/forge", "internal/world/attack/stage", "internal/world/desk", "internal/world/idp", "internal/world/mailca", "internal/world/mailnet", "internal/world/phonenet", "internal/world/worldtest", "internal/vectortest", "internal/storetest", "internal/storetest/offers", "internal/storetest/pgtest",
			"internal/monitor", "internal/simulate", "internal/bench", "internal/bench/cast", "internal/bench/every", "internal/bench/lifecycle", "internal/bench/private",
		},
		// 6: flags, files, signals.
		{
			"internal/command", "internal/operator",
			"cmd/whither", "cmd/whither-dp", "cmd/whither-msp", "cmd/whither-observer", "cmd/whither-prover",
			"cmd/whither-relay", "cmd/whither-monitor", "cmd/whither-witness",
		},
	},

	// Rooms that are not built yet. A room is taken out on the day it is built,
	// and from then on its absence is a breach.
	planned: words(`
		translog internal/privacy/ohttp internal/privacy/token internal/privacy/vrf
		internal/dp/federation internal/dp/snapshot
		issuer relay internal/dp/console
		internal/monitor internal/simulate
		cmd/whither-relay cmd/whither-monitor
		cmd/whither-witness`),

	sameFloor: map[string]string{
		"internal/privacy/pir":            "internal/privacy/pir/kernel internal/privacy/pir/packing internal/privacy/pir/ring internal/privacy/pir/sample",
		"internal/privacy/pir/packing":    "internal/privacy/pir/ring",
		"internal/privacy/pir/slot":       "internal/privacy/pir",
		"internal/privacy/pir/keyword":    "internal/privacy/pir internal/privacy/pir/slot",
		"internal/privacy/pir/batch":      "internal/privacy/pir internal/privacy/pir/slot",
		"key":                             "internal/canon",
		"internal/cose":                   "internal/canon key",
		"internal/dkim":                   "key",
		"internal/jws":                    "key",
		"registry":                        "internal/canon internal/cose key",
		"possession":                      "possession/observe possession/openid",
		"possession/observe":              "possession/mail possession/openid",
		"possession/smime":                "possession/mail",
		"possession/stir":                 "possession possession/stir/chain possession/stir/jose possession/stir/passport possession/stir/tnauth",
		"possession/stir/chain":           "possession/stir/tnauth",
		"possession/stir/passport":        "possession/stir/jose possession/stir/tnauth",
		"possession/stir/stirtest":        "possession/stir/chain possession/stir/tnauth",
		"mapping":                         "mapping/ending possession",
		"mapping/pairing":                 "mapping",
		"wire":                            "possession mapping",
		"internal/dp/docket":              "internal/dp/precedence",
		"internal/dp/directory":           "internal/dp/docket internal/dp/precedence",
		"internal/dp/retract":             "internal/dp/directory",
		"internal/dp/events":              "internal/dp/precedence",
		"internal/dp/federation":          "internal/dp/directory internal/dp/docket internal/dp/precedence",
		"internal/dp/snapshot":            "internal/dp/directory",
		"client":                          "client/sighting client/signin internal/fetch internal/oidc internal/pinned",
		"client/contacts":                 "csi/national",
		"client/disclosed":                "internal/pinned",
		"client/sighting":                 "internal/pinned",
		"client/signin":                   "internal/oidc",
		"cosigner":                        "internal/endpoint internal/pinned",
		"issuer":                          "internal/endpoint internal/pinned",
		"relay":                           "internal/pinned",
		"registry/update":                 "registry/repository",
		"internal/revocation":             "internal/fetch",
		"internal/endpoint":               "internal/pinned",
		"internal/fetch":                  "internal/keyfile",
		"internal/keyfile":                "internal/pinned",
		"internal/oidc":                   "internal/fetch",
		"internal/publish":                "internal/endpoint internal/keyfile internal/party registry/repository",
		"internal/party":                  "internal/keyfile internal/pinned registry/update",
		"internal/world/desk":             "internal/world/idp internal/world/mailca internal/world/mailnet internal/world/phonenet",
		"internal/prover":                 "internal/endpoint internal/pinned",
		"internal/prover/bycode":          "internal/camara internal/prover",
		"internal/prover/bysmime":         "internal/prover",
		"internal/prover/bysip":           "internal/certfetch internal/prover internal/prover/bystir internal/sipin",
		"internal/prover/bystir":          "internal/prover",
		"internal/prover/bymail":          "internal/prover internal/prover/drain internal/smtpout",
		"internal/prover/byopenid":        "internal/oidc internal/prover",
		"internal/certfetch":              "internal/fetch",
		"internal/sipin":                  "internal/sipin/rtp internal/sipin/syntax",
		"internal/observer":               "internal/endpoint internal/observer/resolver internal/pinned",
		"internal/dp/server":              "internal/endpoint internal/pinned",
		"internal/sqlstore":               "internal/sqlstore/sealed internal/sqlstore/sqldb internal/sqlstore/vault",
		"internal/sqlstore/sealed":        "internal/sqlstore/sqldb internal/sqlstore/vault",
		"internal/sqlstore/vault":         "internal/keyfile",
		"internal/sqlstore/mspstore":      "cosigner internal/sqlstore/sqldb",
		"internal/sqlstore/proverstore":   "internal/prover internal/sqlstore/sealed internal/sqlstore/sqldb internal/sqlstore/vault",
		"internal/sqlstore/observerstore": "internal/observer internal/sqlstore/sealed internal/sqlstore/sqldb internal/sqlstore/vault",
		"internal/storetest/offers":       "internal/storetest",
		"internal/storetest":              "internal/storetest/pgtest internal/world/worldtest",
		"internal/doctor":                 "internal/dp internal/msp internal/observer/daemon internal/prover/daemon",
		"internal/demo":                   "internal/world internal/world/mailnet",
		"internal/person/terminal":        "internal/person",
		"internal/world":                  "internal/dp internal/monitor internal/msp internal/observer/daemon internal/prover/daemon internal/world/desk internal/world/idp internal/world/mailca internal/world/mailnet internal/world/phonenet",
		"internal/world/around":           "internal/world/desk internal/world/idp internal/world/mailnet internal/world/phonenet",
		"internal/world/attack":           "internal/world/attack/cast internal/world/attack/forge internal/world/attack/stage internal/world/worldtest",
		"internal/world/attack/forge":     "internal/world/attack/cast internal/world/attack/stage internal/world/mailca",
		"internal/world/attack/stage":     "internal/world/mailca internal/world/worldtest",
		"internal/world/worldtest":        "internal/world",
		"internal/simulate":               "internal/world",
		"cmd/whither":                     "internal/operator",
		"cmd/whither-dp":                  "internal/command",
		"cmd/whither-msp":                 "internal/command",
		"cmd/whither-observer":            "internal/command",
		"cmd/whither-prover":              "internal/command",
		"internal/bench":                  "internal/bench/cast internal/dp",
		"internal/bench/every":            "internal/bench internal/bench/lifecycle internal/bench/private",
		"internal/bench/lifecycle":        "internal/bench internal/bench/cast internal/dp",
		"internal/sqlstore/bare":          "internal/sqlstore/sqldb",
	},

	// Who alone may import a package directly.
	only: map[string]only{
		"database/sql/...":                    {"internal/sqlstore/...", "SQL stays behind the Store interfaces"},
		"modernc.org/...":                     {"internal/sqlstore/sqldb", "SQL stays behind the Store interfaces"},
		"github.com/jackc/pgx/v5/...":         {"internal/sqlstore/sqldb", "SQL stays behind the Store interfaces"},
		"crypto/ed25519":                      {"key", "one place decides that a signature is good"},
		"github.com/fxamacker/cbor/v2":        {"internal/canon", "one place decides which bytes are canonical"},
		"github.com/veraison/go-cose":         {"", "it is a test oracle, see docs/adr/0003"},
		"github.com/nyaruka/phonenumbers/...": {"csi/national", "what a CSI is must not change with the number plans of a library"},
		"github.com/emersion/go-smtp":         {"internal/prover/bymail internal/smtpout internal/world/...", "SMTP is the provers' edge"},
		"github.com/emiago/sipgo/...":         {"internal/sipin/syntax internal/world/...", "SIP is the provers' edge; connections and transactions there are our own, see docs/adr/0026"},
		"github.com/emersion/go-msgauth/...":  {"internal/world/...", "internal/dkim decides that a DKIM signature is good; the library is its oracle in tests and an independent signer in the world"},
		"github.com/BurntSushi/toml":          {"cmd/... internal/party internal/person internal/publish registry/update", "files are read at the edges; formats below are CBOR"},
		"github.com/alecthomas/kong":          {"cmd/...", "flags are read in commands"},
		"flag":                                {"cmd/... internal/command", "flags are read in commands"},
		"os/signal":                           {"cmd/... internal/command", "signals are caught in commands"},
		"os/exec":                             {"internal/bench/lifecycle internal/pgserver internal/storetest", "production code starts no processes, see docs/adr/0030"},
		"testing/...":                         {"internal/storetest/... internal/vectortest internal/world/worldtest", "no testing in production code"},
		"math/rand":                           {"", "use crypto/rand"},
		"math/rand/v2":                        {"internal/world internal/world/worldtest internal/simulate internal/limit", "use crypto/rand; here it is not for secrets"},
		"log":                                 {"internal/endpoint", "use log/slog, handed in; http.Server wants one of the other kind"},
		"expvar":                              {"", "metrics are fields of the role"},
		"github.com/prometheus/client_golang/prometheus/promauto": {"", "metrics are fields of the role"},
		"net/http/pprof": {"", "it registers itself globally"},
		"plugin":         {"", "extension points are interfaces"},
		"unsafe":         {"", "nothing here is worth it"},
		"C":              {"", "a machine with only Go must build everything"},
	},

	// What must not be reached, not even through others. Packages that are not
	// of this module count where a package of this module imports them.
	never: map[string]never{
		"cmd/whither-relay": {
			"csi/... possession/... mapping wire internal/dp/... internal/prover/... internal/sqlstore/...",
			"R14: who sees the sender cannot parse a CSI",
		},
		"relay": {
			"csi/... possession/... mapping wire internal/dp/... internal/prover/... internal/sqlstore/...",
			"R14: who sees the sender cannot parse a CSI",
		},
		"client": {
			"internal/dp/... internal/prover/... internal/sqlstore/... internal/world/... cosigner database/sql/...",
			"the SDK carries no server",
		},
		"cosigner": {
			"internal/dp/... internal/prover/... internal/sqlstore/... internal/world/... client database/sql/...",
			"what an MSP embeds carries no other role",
		},
		"internal/prover": {
			"internal/dp/... internal/sqlstore/... cosigner client",
			"R5: who verifies possession is nobody's DP or MSP",
		},
		"internal/prover/daemon": {
			"internal/dp/... internal/msp cosigner client internal/world/...",
			"R5: nor are its methods, which are put together here",
		},
		"internal/observer": {
			"internal/dp/... internal/prover/... internal/sqlstore/... internal/world/... cosigner client",
			"R5: who vouches for keys is nobody's DP, MSP or prover",
		},
		"internal/dp":          {"internal/world/... cosigner client", "R4: a DP holds no other party's role"},
		"internal/dp/server":   {"internal/sqlstore/... internal/dp/console", "the server decides nothing and stores nothing"},
		"cmd/whither-dp":       {"internal/world/... internal/simulate/... internal/bench/... testing/...", "a daemon carries no demonstration"},
		"cmd/whither-msp":      {"internal/world/... internal/simulate/... internal/bench/... testing/...", "a daemon carries no demonstration"},
		"cmd/whither-observer": {"internal/world/... internal/simulate/... internal/bench/... testing/...", "a daemon carries no demonstration"},
		"cmd/whither-prover":   {"internal/world/... internal/simulate/... internal/bench/... testing/...", "a daemon carries no demonstration"},
	},

	// The lowest floor on which a package of the standard library may appear.
	// Floors 0-2 do no I/O: these are the packages with which one would.
	lowest: map[string]lowest{
		"os/...":        {3, "floors 0-2 do no I/O"},
		"net":           {4, "floors 0-3 do no network I/O"},
		"net/http/...":  {4, "floors 0-3 do no network I/O"},
		"net/smtp":      {4, "floors 0-3 do no network I/O"},
		"net/rpc/...":   {7, "messages are those of wire"},
		"crypto/tls":    {4, "floors 0-3 do no network I/O"},
		"syscall":       {4, "floors 0-3 do no I/O of their own"},
		"runtime/...":   {4, "floors 0-3 do not look at their process"},
		"html/template": {4, "floors 0-3 know no pages"},
		"text/template": {6, "a CSI belongs into no template"},
		"encoding/gob":  {7, "stored and sent bytes are canonical CBOR"},
		"io/ioutil":     {7, "it is deprecated"},
	},

	// The lowest floor on which a name of a package may be mentioned.
	uses: []use{
		{path: "time", names: "Now Since Until", from: 4, why: "the clock is handed in: Now func() time.Time"},
		{path: "time", names: "After AfterFunc NewTicker NewTimer Sleep Tick", from: 4, why: "no timers in roles: Due(now), Step(ctx, now)"},
		{
			path: "log/slog", from: 3, why: "floors 0-2 do not log; a LogValue method is fine",
			except: "Attr Value LogValuer Any AnyValue Bool BoolValue Duration DurationValue Group GroupValue Int IntValue Int64 Int64Value String StringValue Time TimeValue Uint64 Uint64Value",
		},
		{path: "log/slog", names: "Default SetDefault Debug Info Warn Error Log LogAttrs DebugContext InfoContext WarnContext ErrorContext", from: 6, why: "the logger is handed in"},
		{path: "fmt", names: "Print Printf Println", from: 6, why: "only commands print"},
		{path: "os", names: "Exit Stdin Stdout Stderr", from: 6, why: "only commands own the process"},
		{path: "net/http", names: "DefaultClient DefaultTransport Get Head Post PostForm Handle HandleFunc ListenAndServe ListenAndServeTLS DefaultServeMux", from: 7, why: "R23: clients and servers are pinned, and none is global"},
		{path: "github.com/prometheus/client_golang/prometheus", names: "DefaultRegisterer DefaultGatherer MustRegister Register", from: 7, why: "metrics are fields of the role"},
	},

	// Floors 0-2 stand on the standard library alone, save for these.
	foreign: map[string]string{
		"internal/canon":              "github.com/fxamacker/cbor/v2",
		"csi":                         "golang.org/x/net/idna golang.org/x/text/...",
		"possession/mail":             "github.com/emersion/go-message/...",
		"possession/smime":            "golang.org/x/crypto/cryptobyte/...",
		"possession/stir/chain":       "golang.org/x/crypto/cryptobyte/...",
		"possession/stir/tnauth":      "golang.org/x/crypto/cryptobyte/...",
		"registry/tuf":                "github.com/theupdateframework/go-tuf/v2/... github.com/secure-systems-lab/go-securesystemslib/cjson",
		"internal/privacy/oprf":       "github.com/cloudflare/circl/...",
		"internal/privacy/pir/kernel": "golang.org/x/sys/cpu",
		"internal/privacy/pir/ring":   "golang.org/x/sys/cpu",
		"internal/privacy/vrf":        "github.com/cloudflare/circl/...",
		"internal/privacy/token":      "github.com/cloudflare/circl/...",
		"internal/privacy/ohttp":      "github.com/cloudflare/circl/...",
	},

	// Floors 0-2 start no goroutines, save for these, where none outlives a call.
	goroutines: "internal/privacy/pir",

	// Names that say nothing, or that hide a package of the standard library.
	names: words(`util utils common shared helper helpers core types model models structs
		base manager service services impl handler handlers misc lib pkg mock mocks
		log errors crypto http time`),

	// Sizes in lines, of production code: from there on a second subject is
	// likely. Exceptions are named with their reason, files by their path and
	// functions as "path Name".
	maxFile: 600, maxFunc: 80, maxMain: 150, maxPackage: 1500,
	oversize: map[string]string{},

	// Test files that may skip, with the reason. A check that does not run is a
	// check that nobody has.
	skips: map[string]string{
		"internal/storetest/pgtest/pgtest.go":        "PostgreSQL is not part of the toolchain; where CI is set its absence is a failure",
		"cmd/whither-dp/inject_test.go":              "strace lets system calls fail and is not part of the toolchain; where CI is set its absence is a failure",
		"internal/completion/completion_test.go":     "bash reads the script that is for it and is not part of the toolchain; where CI is set its absence is a failure",
		"internal/observer/resolver/unbound_test.go": "unbound is an oracle and not part of the toolchain; where CI is set its absence is a failure",
		"internal/sipin/sipp_test.go":                "SIPp is an oracle of SIP and not part of the toolchain; where CI is set its absence is a failure",
		"possession/smime/openssl_test.go":           "openssl is an oracle and not part of the toolchain; where CI is set its absence is a failure",
	},
}

// TestArchitecture holds the tree against the rules.
func TestArchitecture(t *testing.T) {
	found, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 3 {
		t.Fatalf("found %d packages: the tree was not read", len(found))
	}
	for _, breach := range rules.breaches(found) {
		t.Error(breach)
	}
}
