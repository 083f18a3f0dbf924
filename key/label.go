package key

// Label separates the kinds of statement: it is the external_aad of the COSE
// signature, or the first element of a hashed array, so that a signature made
// for one purpose is none for another. The set is prefix-free (tested).
type Label string

// The labels of version 1, one a kind of statement.
const (
	LabelMapping     Label = "whither/v1/mapping"     // holder, MSP and DP over a mapping
	LabelRenewal     Label = "whither/v1/renewal"     // DP over a mapping that it renews
	LabelWithdrawal  Label = "whither/v1/withdrawal"  // holder ends a mapping
	LabelEntryEnd    Label = "whither/v1/entry-end"   // MSP ends its entry of a mapping
	LabelReceipt     Label = "whither/v1/receipt"     // prover: possession was shown
	LabelObservation Label = "whither/v1/observation" // observer: a domain published a key
	LabelJoin        Label = "whither/v1/join"        // a second app of one person
	LabelHandover    Label = "whither/v1/hand-over"   // one key follows another
	LabelReproof     Label = "whither/v1/re-proof"    // holder answers a claim
	LabelStatus      Label = "whither/v1/status"      // holder asks how a mapping stands
	LabelDecision    Label = "whither/v1/decision"    // reviewer on a claim
	LabelNotice      Label = "whither/v1/notice"      // DP to DP
	LabelComplaint   Label = "whither/v1/complaint"   // holder to the federation
	LabelRegistry    Label = "whither/v1/registry"    // federation over its members
	LabelSelf        Label = "whither/v1/self"        // party over its own record
	LabelSubject     Label = "whither/v1/subject"     // hash of CSI and key in a receipt
	LabelResponse    Label = "whither/v1/response"    // hash that answers a challenge
	LabelPairing     Label = "whither/v1/pairing"     // hashes of the short code of two apps
)

// Labels returns every label, for the test that none is a prefix of another
// and for implementers' vectors.
func Labels() []Label {
	return []Label{
		LabelMapping, LabelRenewal, LabelWithdrawal, LabelEntryEnd, LabelReceipt, LabelObservation, LabelJoin, LabelHandover,
		LabelReproof, LabelStatus, LabelDecision, LabelNotice, LabelComplaint, LabelRegistry, LabelSelf, LabelSubject,
		LabelResponse, LabelPairing,
	}
}
