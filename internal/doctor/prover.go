package doctor

import (
	"path/filepath"
	"time"

	"whither/internal/keyfile"
	"whither/internal/prover/daemon"
	"whither/registry"
)

func readProver(dir, path string) (subject, error) {
	s, err := daemon.ReadSettings(path)
	if err != nil {
		return subject{}, err
	}
	out := subject{
		dir: dir, role: registry.RoleProver, party: s.Party, registry: s.Registry, root: s.Root,
		ports: []port{{"listen", s.Listen}, {"operations", s.Operations}, {"mail.listen", s.Mail.Listen}},
		keys: []secret{rowKeys(dir), {"keys/dkim.pem", func() error {
			_, err := keyfile.DKIM(filepath.Join(dir, "keys", "dkim.pem"))
			return err
		}}},
	}
	for _, p := range []port{{"sip.listen", s.SIP.Listen}, {"sip.listen_tls", s.SIP.ListenTLS}} {
		if p.address != "" {
			out.ports = append(out.ports, p)
		}
	}
	for name, c := range map[string]daemon.CourierSettings{"message": s.Message, "call": s.Call} {
		if c != (daemon.CourierSettings{}) {
			out.keys = append(out.keys, secret{name + ".token", func() error { _, err := keyfile.Token(out.in(c.Token)); return err }})
		}
	}
	for _, o := range s.SIM.Operators {
		out.keys = append(out.keys, secret{"sim token for " + o.Prefix, func() error { _, err := keyfile.Token(out.in(o.Token)); return err }})
	}
	out.more = func(r *Report, reg *registry.Snapshot, now time.Time) {
		if _, err := keyfile.Certificate(out.in(s.Mail.Certificate), out.in(s.Mail.CertificateKey)); err != nil {
			r.wrong("mail certificate", "put a certificate of a public authority, and its key, where the settings say", "%v", err)
		} else {
			r.certificate("mail certificate", out.in(s.Mail.Certificate), s.Mail.Host, now)
		}
		if s.Mail.Roots != "" {
			if _, err := keyfile.Roots(out.in(s.Mail.Roots)); err != nil {
				r.wrong("mail roots", "put the authorities' certificates where the settings say, or take mail.roots out", "%v", err)
			}
		}
		codes := s.Message != (daemon.CourierSettings{}) || s.Call != (daemon.CourierSettings{})
		if !codes {
			r.warn("codes", "fill in [message] or [call], unless this prover is for mail alone", "no service that sends codes")
		}
		if (codes || s.STIR.Roots != "") && len(s.SIM.Operators) == 0 {
			r.warn("sim", "fill in [[sim.operator]] for the operators that offer it", "nobody is asked whether a number's SIM card was changed")
		}
		r.telephone(out, s, reg, now)
		r.world(dir, s, reg, now)
	}
	return out, nil
}
