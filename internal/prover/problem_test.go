package prover_test

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"whither/internal/camara"
	"whither/internal/limit"
	"whither/internal/prover"
	"whither/internal/prover/bycode"
	"whither/internal/prover/bymail"
	"whither/internal/smtpout"
	"whither/possession/mail"
	"whither/problem"
)

// sentinels lists every error that the packages of the table export.
var sentinels = map[string]error{
	"prover.ErrUnknown": prover.ErrUnknown, "prover.ErrDecided": prover.ErrDecided, "prover.ErrTaken": prover.ErrTaken,
	"limit.ErrReached": limit.ErrReached, "prover.ErrRequest": prover.ErrRequest, "prover.ErrKind": prover.ErrKind,
	"prover.ErrExpired": prover.ErrExpired, "prover.ErrFailed": prover.ErrFailed, "prover.ErrStale": prover.ErrStale,
	"prover.ErrChallenger": prover.ErrChallenger, "prover.ErrOwnOperator": prover.ErrOwnOperator, "prover.ErrBusy": prover.ErrBusy,
	"prover.ErrUnlisted": prover.ErrUnlisted, "prover.ErrIncumbent": prover.ErrIncumbent, "prover.ErrTooLarge": prover.ErrTooLarge,
	"prover.ErrSIMChanged": prover.ErrSIMChanged, "prover.ErrSIMSilent": prover.ErrSIMSilent,
	"prover.ErrNotADP": prover.ErrNotADP, "prover.ErrNoTeller": prover.ErrNoTeller,
	"prover.ErrMethod": prover.ErrMethod, "prover.ErrLater": prover.ErrLater,

	"bymail.ErrBounce": bymail.ErrBounce,

	"camara.ErrCode": camara.ErrCode, "camara.ErrExpired": camara.ErrExpired, "camara.ErrTries": camara.ErrTries,
	"camara.ErrNotAllowed": camara.ErrNotAllowed, "camara.ErrUnavailable": camara.ErrUnavailable,

	"smtpout.ErrConfig": smtpout.ErrConfig, "smtpout.ErrMessage": smtpout.ErrMessage,
	"smtpout.ErrTemporary": smtpout.ErrTemporary, "smtpout.ErrPermanent": smtpout.ErrPermanent,

	"mail.ErrWant": mail.ErrWant, "mail.ErrTooLarge": mail.ErrTooLarge, "mail.ErrMalformed": mail.ErrMalformed,
	"mail.ErrSecondFrom": mail.ErrSecondFrom, "mail.ErrWrongSender": mail.ErrWrongSender, "mail.ErrWrongRecipient": mail.ErrWrongRecipient,
	"mail.ErrRepeatedHeader": mail.ErrRepeatedHeader, "mail.ErrAutomatic": mail.ErrAutomatic, "mail.ErrWrongToken": mail.ErrWrongToken,
	"mail.ErrContentType": mail.ErrContentType, "mail.ErrQuoted": mail.ErrQuoted, "mail.ErrExtraContent": mail.ErrExtraContent,
	"mail.ErrNoResponse": mail.ErrNoResponse, "mail.ErrWrongResponse": mail.ErrWrongResponse, "mail.ErrNoSignature": mail.ErrNoSignature,
	"mail.ErrTooManySignatures": mail.ErrTooManySignatures, "mail.ErrBadSignature": mail.ErrBadSignature,
	"mail.ErrMisaligned": mail.ErrMisaligned, "mail.ErrUnsignedHeader": mail.ErrUnsignedHeader, "mail.ErrWeakKey": mail.ErrWeakKey,
	"mail.ErrBodyLength": mail.ErrBodyLength, "mail.ErrKeyRecord": mail.ErrKeyRecord, "mail.ErrKeyLookup": mail.ErrKeyLookup,
	"mail.ErrExpired": mail.ErrExpired, "mail.ErrFuture": mail.ErrFuture, "mail.ErrChallenge": mail.ErrChallenge,
}

// exported returns the names of the errors that a folder's package exports.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	must(t, err)
	var names []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		must(t, err)
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				for _, id := range s.(*ast.ValueSpec).Names {
					if strings.HasPrefix(id.Name, "Err") {
						names = append(names, f.Name.Name+"."+id.Name)
					}
				}
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("no errors in %s: the folder was not read", dir)
	}
	return names
}

// kindOf asks the tables of the core and of all methods.
func kindOf(err error) problem.Kind {
	return cmp.Or(prover.Problem(err), bymail.Problem(err), bycode.Problem(err))
}

// TestEveryErrorHasAKind walks the exported errors of the packages below.
func TestEveryErrorHasAKind(t *testing.T) {
	listed := 0
	for _, dir := range []string{".", "bymail", "../camara", "../limit", "../smtpout", "../../possession/mail"} {
		if _, err := os.Stat(dir); err != nil {
			t.Fatal(err)
		}
		for _, name := range exported(t, dir) {
			err, ok := sentinels[name]
			if !ok {
				t.Errorf("%s is not in the test's list", name)
				continue
			}
			listed++
			k := kindOf(fmt.Errorf("wrapped: %w", err))
			if k == "" || k.Row().Kind != k {
				t.Errorf("%s has no kind in the catalogue: %q", name, k)
			}
			if strings.Contains(err.Error(), "@") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if listed != len(sentinels) {
		t.Errorf("%d errors are listed and %d exist", len(sentinels), listed)
	}
	if k := kindOf(errors.New("something else")); k != "" {
		t.Errorf("an unknown error is %s", k)
	}
}

// TestInternalKinds: what only a mistake of ours can cause is called so.
func TestInternalKinds(t *testing.T) {
	for name, err := range sentinels {
		internal := kindOf(err) == problem.Internal
		want := name == "mail.ErrWant" || name == "mail.ErrChallenge" || name == "smtpout.ErrConfig" || name == "prover.ErrMethod"
		if internal != want {
			t.Errorf("%s: %s", name, kindOf(err))
		}
	}
}
