package problem

// The kinds, in the order of docs/spec/problems.md.
const (
	// About the request's form.
	Malformed        Kind = "malformed"
	TooLarge         Kind = "too-large"
	UnsupportedMedia Kind = "media-type"
	NotFound         Kind = "not-found"
	Method           Kind = "method"
	BadCSI           Kind = "csi"

	// About who asks.
	Unauthenticated Kind = "unauthenticated"
	NotAParty       Kind = "not-a-party"
	Standing        Kind = "standing"
	BothEnds        Kind = "both-ends"
	Limited         Kind = "limited"

	// About offers.
	OfferUnknown Kind = "offer-unknown"
	OfferExpired Kind = "offer-expired"
	OfferUsed    Kind = "offer-used"
	OfferForeign Kind = "offer-foreign"

	// About a mapping.
	MappingMalformed  Kind = "mapping-malformed"
	MappingClaims     Kind = "mapping-claims"
	HolderSignature   Kind = "holder-signature"
	MSPMissing        Kind = "msp-missing"
	MSPSignature      Kind = "msp-signature"
	MSPForeign        Kind = "msp-foreign"
	DPMissing         Kind = "dp-missing"
	DPSignature       Kind = "dp-signature"
	DPForeign         Kind = "dp-foreign"
	SignatureRole     Kind = "signature-role"
	SignerUnknown     Kind = "signer-unknown"
	SignerStanding    Kind = "signer-standing"
	TimeOrder         Kind = "time-order"
	TimeFuture        Kind = "time-future"
	MappingExpired    Kind = "mapping-expired"
	MappingLife       Kind = "mapping-life"
	MappingStale      Kind = "mapping-stale"
	AlreadySigned     Kind = "already-signed"
	MappingUnknown    Kind = "mapping-unknown"
	MappingConflict   Kind = "mapping-conflict"
	SequenceConflict  Kind = "sequence-conflict"
	WithdrawalForeign Kind = "withdrawal-foreign"
	EndForeign        Kind = "end-foreign"
	EntryEnded        Kind = "entry-ended"
	Residency         Kind = "residency"
	CSIFull           Kind = "csi-full"
	LineageStatement  Kind = "lineage-statement"
	KeyRetired        Kind = "key-retired"
	ReproofForeign    Kind = "reproof-foreign"
	StatusForeign     Kind = "status-foreign"

	// About evidence.
	ReceiptMalformed  Kind = "receipt-malformed"
	ReceiptForeign    Kind = "receipt-foreign"
	ReceiptSigner     Kind = "receipt-signer"
	ReceiptStanding   Kind = "receipt-standing"
	ReceiptDependent  Kind = "receipt-dependent"
	ReceiptOrder      Kind = "receipt-order"
	ReceiptRepeated   Kind = "receipt-repeated"
	ReceiptSet        Kind = "receipt-set"
	ReceiptUnassigned Kind = "receipt-unassigned"
	EvidenceKind      Kind = "evidence-kind"
	EvidenceLevel     Kind = "evidence-level"
	EvidenceStale     Kind = "evidence-stale"
	EvidenceWeaker    Kind = "evidence-weaker"
	EvidenceBarred    Kind = "evidence-barred"
	ClaimLimit        Kind = "claim-limit"

	// About a challenge.
	ChallengeUnknown Kind = "challenge-unknown"
	ChallengeExpired Kind = "challenge-expired"
	ChallengeUsed    Kind = "challenge-used"
	ChallengeFailed  Kind = "challenge-failed"
	CannotDeliver    Kind = "cannot-deliver"
	CodeWrong        Kind = "code-wrong"

	// About an observation.
	ChallengerUnknown   Kind = "challenger-unknown"
	ChallengerDependent Kind = "challenger-dependent"

	// About a published key.
	KeyUnpublished Kind = "key-unpublished"
	KeyUnusable    Kind = "key-unusable"
	KeyLookup      Kind = "key-lookup"
	KeyKind        Kind = "key-kind"
	ListUnknown    Kind = "list-unknown"

	// About a mail reply.
	MailSignatureMissing Kind = "mail-signature-missing"
	MailSignatureBad     Kind = "mail-signature-bad"
	MailMisaligned       Kind = "mail-misaligned"
	MailHeaderUnsigned   Kind = "mail-header-unsigned"
	MailHeaderRepeated   Kind = "mail-header-repeated"
	MailSecondFrom       Kind = "mail-second-from"
	MailSender           Kind = "mail-sender"
	MailRecipient        Kind = "mail-recipient"
	MailContent          Kind = "mail-content"
	MailAutomatic        Kind = "mail-automatic"
	MailKey              Kind = "mail-key"
	MailToken            Kind = "mail-token"
	MailResponse         Kind = "mail-response"
	MailExpired          Kind = "mail-expired"
	MailMalformed        Kind = "mail-malformed"
	MailDNS              Kind = "mail-dns"

	// About an ID token.
	OpenIDMalformed  Kind = "openid-malformed"
	OpenIDNonce      Kind = "openid-nonce"
	OpenIDTime       Kind = "openid-time"
	OpenIDUnverified Kind = "openid-unverified"
	OpenIDIdentifier Kind = "openid-identifier"
	OpenIDIssuer     Kind = "openid-issuer"
	OpenIDAudience   Kind = "openid-audience"
	OpenIDKey        Kind = "openid-key"
	OpenIDSignature  Kind = "openid-signature"
	OpenIDProvider   Kind = "openid-provider"

	// About evidence signed by the telephone world.
	STIRArtefact    Kind = "stir-artefact"
	STIRPassport    Kind = "stir-passport"
	STIRNumber      Kind = "stir-number"
	STIRDestination Kind = "stir-destination"
	STIRAttestation Kind = "stir-attestation"
	STIRTime        Kind = "stir-time"
	STIRCertificate Kind = "stir-certificate"
	STIRFetch       Kind = "stir-fetch"
	STIRAuthority   Kind = "stir-authority"
	STIRSignature   Kind = "stir-signature"
	STIRContent     Kind = "stir-content"
	STIRResponse    Kind = "stir-response"
	SIMChanged      Kind = "sim-changed"

	// About an S/MIME signature.
	SMIMEMalformed   Kind = "smime-malformed"
	SMIMEAlgorithm   Kind = "smime-algorithm"
	SMIMEContent     Kind = "smime-content"
	SMIMETime        Kind = "smime-time"
	SMIMEAddress     Kind = "smime-address"
	SMIMECertificate Kind = "smime-certificate"
	SMIMERevoked     Kind = "smime-revoked"
	SMIMEStatus      Kind = "smime-status"
	SMIMEChain       Kind = "smime-chain"

	// About an MSP's account.
	AccountUnknown Kind = "account-unknown"
	AccountCSI     Kind = "account-csi"
	EntryForeign   Kind = "entry-foreign"

	// About the server.
	Registry    Kind = "registry"
	Unavailable Kind = "unavailable"
	Internal    Kind = "internal"
)

// catalogue is data; nothing changes it.
var catalogue = [...]Row{
	{Malformed, 400, "The request is not in its one accepted form", RetryNever, "compare it with docs/spec/messages.md: canonical CBOR, or JSON without duplicate, unknown or case-folded members"},
	{TooLarge, 413, "The request is too large", RetryNever, "send less in one request; a body holds at most 64 KiB"},
	{UnsupportedMedia, 415, "The content type is not accepted", RetryNever, "send application/cbor or application/json"},
	{NotFound, 404, "There is nothing here", RetryNever, "check the path against docs/spec/messages.md"},
	{Method, 405, "The method is not allowed here", RetryNever, "use the method that the Allow header names"},
	{BadCSI, 422, "The CSI is not in canonical form", RetryNever, "write a number as tel:+… and an address as mailto:… with a lower-case domain"},

	{Unauthenticated, 401, "The request is not authenticated", RetryNever, "sign in at the MSP and send its token"},
	{NotAParty, 403, "The caller's certificate is not that of a party which may ask this", RetryNever, "present the TLS key that the registry pins for a party of the right role"},
	{Standing, 403, "The caller is closed or expelled", RetryNever, "settle the standing with the federation"},
	{BothEnds, 403, "The request would show both who asks and about whom", RetryNever, "ask through an MSP of another operator than this DP's"},
	{Limited, 429, "A limit is reached", RetryLater, "wait as long as Retry-After says"},

	{OfferUnknown, 422, "The offer was not made here", RetryFresh, "ask for a new offer"},
	{OfferExpired, 422, "The offer has run out", RetryFresh, "ask for a new offer"},
	{OfferUsed, 409, "The offer has been used", RetryFresh, "ask for a new offer"},
	{OfferForeign, 422, "The offer is for another CSI, key or party", RetryFresh, "ask for an offer for this CSI and key"},

	{MappingMalformed, 422, "The mapping is malformed", RetryNever, "compare it with docs/spec/mapping.md and its vectors"},
	{MappingClaims, 422, "A claim of the mapping is out of bounds", RetryNever, "see the limits in docs/spec/mapping.md"},
	{HolderSignature, 422, "The holder's signature is missing or bad", RetryNever, "sign with the key that the mapping names"},
	{MSPMissing, 422, "A listed MSP has not signed", RetryNever, "get the signature of every MSP that the mapping lists"},
	{MSPSignature, 422, "An MSP's signature is bad", RetryNever, "ask the MSP to sign again"},
	{MSPForeign, 422, "Signed by another MSP than the one listed", RetryNever, "collect signatures in the order of the entries"},
	{DPMissing, 422, "The DP has not signed", RetryNever, "submit the mapping to its DP"},
	{DPSignature, 422, "The DP's signature is bad", RetryFresh, "fetch the mapping again"},
	{DPForeign, 422, "The mapping names another DP", RetryNever, "submit it to the DP that it names"},
	{SignatureRole, 422, "A signature is doubled, out of order or of an unknown role", RetryNever, "holder, MSPs in entry order, DP: each once"},
	{SignerUnknown, 422, "A signer is not in the registry for that role and time", RetryFresh, "fetch the current registry; then ask the signer"},
	{SignerStanding, 422, "A signer is closed or expelled", RetryNever, "use a party in good standing"},
	{TimeOrder, 422, "The signatures are not in the order evidence, holder, MSP, DP", RetryNever, "sign in that order, each with its own time"},
	{TimeFuture, 422, "Something is dated in the future", RetryLater, "check the clock; at most 120 seconds of skew are accepted"},
	{MappingExpired, 422, "The mapping has expired", RetryNever, "prove possession again and make a new one"},
	{MappingLife, 422, "The mapping would outlive its evidence", RetryNever, "let it expire at most one year after its newest evidence"},
	{MappingStale, 422, "The DP's signature has run out", RetryFresh, "fetch the mapping again; DPs renew their signatures within seven days"},
	{AlreadySigned, 422, "The mapping already bears a DP's signature", RetryNever, "submit it before the DP signs"},
	{MappingUnknown, 404, "No such mapping lives here", RetryNever, "check the mapping's id; it may have been withdrawn or replaced"},
	{MappingConflict, 409, "Another mapping has this id", RetryNever, "choose a fresh random id"},
	{SequenceConflict, 409, "The mapping does not follow the one that lives here", RetryFresh, "fetch the live mapping; take its sequence plus one and its digest as predecessor"},
	{WithdrawalForeign, 422, "The withdrawal is not the holder's for this mapping", RetryNever, "sign it with the mapping's holder key, over its id and payload digest"},
	{EndForeign, 422, "The end of an entry is not by its MSP for this mapping", RetryNever, "sign it with the key of the MSP that the entry names, over the mapping's id and payload digest"},
	{EntryEnded, 409, "An MSP has ended its entry of this mapping", RetryNever, "make the next mapping with an MSP that serves the CSI, and its new signature"},

	{LineageStatement, 422, "A join or hand-over does not lead from the key in the receipts to the holder's", RetryNever, "send every statement, the oldest first, signed by both keys; or prove possession with the new key"},
	{KeyRetired, 409, "The key has handed over to another", RetryNever, "act with the key that followed it"},
	{ReproofForeign, 422, "The re-proof is not the holder's for this mapping", RetryNever, "sign it with the mapping's key over its id and payload digest, with receipts that were made for a re-proof"},
	{StatusForeign, 403, "The question is not the holder's for this mapping, or not of now", RetryFresh, "check the clock and sign the question again with the mapping's key"},
	{CSIFull, 409, "The CSI has as many mappings as it may", RetryNever, "withdraw a mapping, or put several MSPs into one"},
	{Residency, 422, "The mapping may not be kept where this DP keeps data", RetryNever, "allow the jurisdictions that the DP's offer names, or use another DP"},

	{ReceiptMalformed, 422, "A receipt is malformed", RetryNever, "compare it with docs/spec/evidence.md and its vectors"},
	{ReceiptForeign, 422, "A receipt is for another CSI or another key", RetryNever, "prove possession for this CSI with this key"},
	{ReceiptSigner, 422, "A receipt is not signed by a prover of the registry", RetryFresh, "fetch the current registry; use a prover that it lists"},
	{ReceiptStanding, 422, "A prover is closed or expelled", RetryNever, "prove possession through a prover in good standing"},
	{ReceiptDependent, 422, "A prover is run by the DP's or a listed MSP's operator", RetryNever, "use provers of other operators"},
	{ReceiptOrder, 422, "A receipt is dated after what rests on it", RetryNever, "sign the mapping after the receipts"},
	{ReceiptRepeated, 422, "A receipt is repeated", RetryNever, "send each receipt once"},
	{ReceiptSet, 422, "The receipts are not the ones that the mapping names", RetryNever, "send the receipts in the order of their digests in the mapping"},
	{ReceiptUnassigned, 422, "A receipt is by a prover that is not assigned to this CSI", RetryFresh, "take the provers in the order of the DP's offer"},
	{EvidenceKind, 422, "This kind of evidence does not count for this CSI", RetryNever, "see the kinds in the DP's offer"},
	{EvidenceLevel, 422, "The evidence is weaker than needed", RetryNever, "see the level in the DP's offer; two provers of different operators must agree"},
	{EvidenceStale, 422, "The evidence is too old for a first admission", RetryFresh, "prove possession again; evidence counts for 24 hours"},
	{EvidenceWeaker, 409, "Somebody holds the CSI by stricter evidence", RetryFresh, "prove possession at the level that the detail names, or submit it again with a request for review"},
	{EvidenceBarred, 409, "The CSI changed hands after this evidence", RetryFresh, "prove possession again"},
	{ClaimLimit, 429, "This key has claimed the CSI as often as is heard", RetryLater, "wait for the claims to be forgotten, 90 days; stricter evidence is heard at once"},

	{ChallengeUnknown, 404, "No such challenge", RetryFresh, "start a new challenge"},
	{ChallengeExpired, 410, "The challenge has run out", RetryFresh, "start a new challenge"},
	{ChallengeUsed, 409, "The challenge has been answered already", RetryFresh, "start a new challenge"},
	{ChallengeFailed, 422, "The challenge was not answered rightly", RetryFresh, "start a new challenge and answer exactly as it asks"},
	{CodeWrong, 422, "The code is wrong", RetryFresh, "type the newest code that came by this channel; after five wrong ones start a new challenge"},
	{CannotDeliver, 502, "The challenge could not be delivered", RetryLater, "check that the CSI exists and takes messages; then try again"},

	{ChallengerUnknown, 422, "The challenger is not an active prover of the registry", RetryFresh, "fetch the current registry; name the prover that sent the challenge"},
	{ChallengerDependent, 422, "The challenger is run by this prover's own operator", RetryNever, "ask a prover of another operator"},

	{KeyUnpublished, 404, "No such key is published now", RetryNever, "make the evidence again: its key has been retired, or never was there"},
	{KeyUnusable, 422, "What is published there is no key that evidence can use", RetryNever, "the domain must publish one record with an RSA key of at least 2048 bits or an Ed25519 key, not revoked, not in testing"},
	{KeyLookup, 503, "The key could not be looked up", RetryLater, "try again when the name servers, or the issuer, answer; what DNSSEC finds bogus is answered so, too"},
	{KeyKind, 422, "This observer does not look at keys of this kind, or at such a name", RetryNever, "name a domain and a selector, or an issuer, in their one spelling; or ask another observer"},
	{ListUnknown, 404, "There is no list of this day", RetryNever, "see the days in the index; a list is there some hours after its day, and for 13 months"},

	{MailSignatureMissing, 422, "The reply has no DKIM signature", RetryNever, "reply from a provider that signs with DKIM"},
	{MailSignatureBad, 422, "The reply's DKIM signature does not verify", RetryFresh, "send the reply directly, without a forwarder that changes it"},
	{MailMisaligned, 422, "The DKIM signature is not by the address's own domain", RetryNever, "reply from the mailbox itself, through its own provider"},
	{MailHeaderUnsigned, 422, "A header that must be signed is not", RetryNever, "ask the mail provider to sign From, To, Subject, Date and Message-ID, and every listed header that is present"},
	{MailHeaderRepeated, 422, "A header that must stand once is repeated or missing", RetryNever, "send an ordinary reply"},
	{MailSecondFrom, 422, "The reply has a second sender", RetryNever, "reply with one From address"},
	{MailSender, 422, "The reply is from another address", RetryNever, "reply from the address that is to be proved"},
	{MailRecipient, 422, "The reply is not addressed to the prover alone", RetryNever, "reply to the challenge's address, to nobody else"},
	{MailContent, 422, "The reply holds more or other than what was asked", RetryNever, "send the sentence, a blank line and the response block, unquoted, as plain text, without a signature below"},
	{MailAutomatic, 422, "The reply is automatic, a bounce or from a list", RetryNever, "reply by hand"},
	{MailKey, 422, "The domain's DKIM key record is unusable", RetryNever, "the domain must publish an RSA key of at least 2048 bits or an Ed25519 key, not in testing"},
	{MailToken, 422, "The reply answers another challenge", RetryNever, "reply to the newest challenge mail; keep its subject"},
	{MailResponse, 422, "The response in the reply is wrong", RetryNever, "copy the response that the client shows"},
	{MailExpired, 422, "The DKIM signature has expired or is dated in the future", RetryFresh, "send the reply again"},
	{MailMalformed, 422, "The reply is not a well-formed message", RetryNever, "send an ordinary plain-text reply"},
	{MailDNS, 503, "The domain's key record could not be looked up", RetryLater, "try again when the domain's DNS answers"},

	{OpenIDMalformed, 422, "This is not an ID token that can be judged", RetryNever, "hand over id_token as the provider gave it, asked for with scope openid email and max_age=0, signed with RS256, ES256 or EdDSA"},
	{OpenIDNonce, 422, "The token does not answer this challenge for this key", RetryFresh, "start a new challenge and sign in from the app that holds the key"},
	{OpenIDTime, 422, "The sign-in is too old, or a time in the token contradicts another", RetryFresh, "sign in again, with max_age=0, after the challenge has begun; check the clock"},
	{OpenIDUnverified, 422, "The provider has not verified the address", RetryNever, "verify the address at the provider, or use other evidence"},
	{OpenIDIdentifier, 422, "The token is about another address or handle", RetryNever, "sign in with the account of this address or handle"},
	{OpenIDIssuer, 422, "The provider's word does not count for this address or handle", RetryNever, "sign in at the provider that the federation names for this domain, or use other evidence"},
	{OpenIDAudience, 422, "The token was made for another client", RetryNever, "sign in from the app, under a client id that the federation names for this provider"},
	{OpenIDKey, 422, "The provider publishes no usable key for this token", RetryFresh, "sign in again; if it stays, the provider's key set is at fault"},
	{OpenIDSignature, 422, "The token's signature does not verify", RetryFresh, "sign in again and hand over the token unchanged"},
	{OpenIDProvider, 503, "The provider's configuration or keys could not be fetched", RetryLater, "try again when the provider answers"},

	{STIRArtefact, 422, "This is no such telephone evidence", RetryNever, "collect it again, complete with the signer's certificates, in the form that the challenge is for"},
	{STIRPassport, 422, "The PASSporT or token is not one that counts", RetryNever, "ask the carrier or the authority: it writes what the RFCs do not allow, or for another service"},
	{STIRNumber, 422, "It is signed for another number", RetryNever, "use the number that is to be proved"},
	{STIRDestination, 422, "It is not signed for the prover that asked, and for it alone", RetryFresh, "start a new challenge and use the destination that it gives"},
	{STIRAttestation, 422, "The carrier does not vouch for the caller fully", RetryNever, "call or send from the carrier's own network; attestation A is needed"},
	{STIRTime, 422, "It was signed too long ago, or in the future", RetryFresh, "have it signed again; if that does not help, a clock is wrong"},
	{STIRCertificate, 422, "The signer's certificates are refused", RetryNever, "ask the carrier: its certificates do not lead to a root that this federation trusts, or break a rule on the way"},
	{STIRFetch, 422, "The signer's certificates cannot be fetched", RetryFresh, "send or call again; if it stays, the carrier's repository of certificates is at fault, or is none that this prover asks"},
	{STIRAuthority, 422, "The signer does not speak for this number", RetryNever, "have it signed by the carrier that the number is with"},
	{STIRSignature, 422, "The signature does not verify", RetryFresh, "send it again as it was signed; it was changed on the way"},
	{STIRContent, 422, "The message holds more or other than what was asked", RetryFresh, "send the text that the client shows, and nothing else"},
	{STIRResponse, 422, "It answers another challenge, or for another key", RetryFresh, "start a new challenge and have its response signed"},
	{SIMChanged, 403, "The number's SIM was changed not long ago", RetryNever, "wait until the SIM has been in use for as long as the prover asks, ten days by default, or prove another address"},

	{SMIMEMalformed, 422, "This is no S/MIME signature in the accepted form", RetryNever, "sign detached, with one certificate, as DER, with the certificates of the chain inside and nothing else"},
	{SMIMEAlgorithm, 422, "The signature or a certificate uses what is too weak or not known here", RetryNever, "use a certificate with RSA of 2,048 bits or more or ECDSA on P-256, and SHA-256"},
	{SMIMEContent, 422, "Another text was signed", RetryFresh, "sign the text that the client shows, unchanged"},
	{SMIMETime, 422, "The signature is too old, or dated in the future", RetryFresh, "check the clock and sign again"},
	{SMIMEAddress, 422, "The certificate is not for this address", RetryNever, "use the certificate that has the address, in ASCII, as an alternative name"},
	{SMIMECertificate, 422, "The certificate is not one to sign mail with now", RetryNever, "use a person's certificate for signing mail that is valid today"},
	{SMIMERevoked, 422, "The certificate is revoked", RetryNever, "get a new certificate"},
	{SMIMEStatus, 503, "Whether the certificate is revoked cannot be known now", RetryLater, "try again later; the prover lacks its authority's current revocation list"},
	{SMIMEChain, 422, "The certificate does not lead to an authority that this federation trusts", RetryNever, "send the certificates between inside the signature, or use a certificate of another authority"},

	{AccountUnknown, 401, "No such account is signed in", RetryNever, "sign in at the MSP and send its token"},
	{AccountCSI, 403, "The account does not have this CSI", RetryNever, "add the CSI to the account at the MSP first"},
	{EntryForeign, 422, "The mapping's entry is not what this MSP offered", RetryFresh, "ask the MSP for a new offer and take it over unchanged"},

	{Registry, 503, "The server's registry is out of date", RetryLater, "wait until the operator has fetched the current registry"},
	{Unavailable, 503, "The server cannot do this now", RetryLater, "try again after Retry-After"},
	{Internal, 500, "Something broke on the server", RetryLater, "try again; if it stays, tell the operator the time of the request"},
}
