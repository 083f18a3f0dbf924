package sipin_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"whither/internal/sipin"
)

// The scenarios of SIPp, another reading of RFC 3261. With -nd it does not help
// itself: what it does not expect is a failure.
const (
	sippMessage = `<?xml version="1.0" encoding="UTF-8"?>
<scenario name="message">
<send retrans="500"><![CDATA[
MESSAGE sip:box@prover-a.example SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:bob@carrier.example>;tag=[pid]SIPp[call_number]
To: <sip:box@prover-a.example>
Call-ID: [call_id]
CSeq: 1 MESSAGE
Identity: a.b.c;info=<https://c.example/x>;ppt=msg
Content-Type: text/plain
Content-Length: [len]

number [call_number]
]]></send>
<recv response="%d"/>
</scenario>`

	sippCall = `<?xml version="1.0" encoding="UTF-8"?>
<scenario name="call">
<send retrans="500" start_txn="invite"><![CDATA[
INVITE sip:box@prover-a.example SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:bob@carrier.example>;tag=[pid]SIPp[call_number]
To: <sip:box@prover-a.example>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:bob@[local_ip]:[local_port];transport=[transport]>
Identity: a.b.c;info=<https://c.example/x>;ppt=shaken
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
]]></send>
<recv response="200" response_txn="invite" rrs="true"/>
<send ack_txn="invite"><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:bob@carrier.example>;tag=[pid]SIPp[call_number]
To: <sip:box@prover-a.example>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Content-Length: 0

]]></send>
%s<recv request="BYE"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>`

	sippKey = `<send retrans="500"><![CDATA[
INFO [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:bob@carrier.example>;tag=[pid]SIPp[call_number]
To: <sip:box@prover-a.example>[peer_tag_param]
Call-ID: [call_id]
CSeq: [cseq] INFO
Content-Type: application/dtmf-relay
Content-Length: [len]

Signal=%c
Duration=160
]]></send>
<recv response="200"/>
`
)

// TestSIPp has SIPp send messages and calls, by UDP and by TCP, many at a time.
func TestSIPp(t *testing.T) {
	path, err := exec.LookPath("sipp")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("sipp is missing")
		}
		t.Skip("NOT RUN: sipp is missing")
	}
	keys := ""
	for _, k := range "1234" {
		keys += fmt.Sprintf(sippKey, k)
	}
	const calls = 20
	for _, test := range []struct {
		name, scenario string
		refusal        *sipin.Refusal
	}{
		{"message", fmt.Sprintf(sippMessage, 200), nil},
		{"refused", fmt.Sprintf(sippMessage, 438), &sipin.Refusal{Code: 438, Reason: "Invalid Identity Header", Advice: "Ask the carrier."}},
		{"call", fmt.Sprintf(sippCall, keys), nil},
	} {
		for _, transport := range []string{"u1", "t1"} {
			t.Run(test.name+" "+transport, func(t *testing.T) {
				o := &owner{}
				if test.refusal != nil {
					o.message = func(sipin.Request) error { return test.refusal }
				}
				r := start(t, o, nil)
				dir := t.TempDir()
				file := filepath.Join(dir, "scenario.xml")
				if err := os.WriteFile(file, []byte(test.scenario), 0o600); err != nil {
					t.Fatal(err)
				}
				cmd := exec.CommandContext(t.Context(), path, r.at, "-sf", file, "-t", transport, "-i", "127.0.0.1", "-mi", "127.0.0.1",
					"-m", fmt.Sprint(calls), "-r", "50", "-nd", "-nostdin", "-timeout", "30s", "-timeout_error", "-trace_err", "-error_file", filepath.Join(dir, "errors"))
				cmd.Dir, cmd.WaitDelay = dir, time.Second
				out, err := cmd.CombinedOutput()
				if err != nil {
					errors, _ := os.ReadFile(filepath.Join(dir, "errors"))
					t.Fatalf("%v\n%s\n%s", err, errors, out[max(0, len(out)-3000):])
				}
				requests, codes := o.seen()
				if len(requests) != calls || test.name == "call" && len(codes) != calls {
					t.Errorf("judged %d requests and %d codes", len(requests), len(codes))
				}
				for _, c := range codes {
					if c != "1234" {
						t.Errorf("code %q", c)
					}
				}
			})
		}
	}
}
