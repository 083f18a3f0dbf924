package resolver

import "golang.org/x/net/dns/dnsmessage"

// MaxChain is how many aliases are followed.
const MaxChain = maxChain

// ParseAnswer reads b as the answer to a question for TXT records.
func ParseAnswer(id uint16, name string, b []byte) (texts []string, authentic bool, err error) {
	n, err := parseName(name)
	if err != nil {
		return nil, false, err
	}
	r, err := question{id: id, name: n, of: dnsmessage.TypeTXT}.parse(b)
	return r.texts, r.authentic, err
}

// Unprotected makes a client whose way to the resolver is open to others.
func Unprotected(c *Client) *Client { return &Client{address: c.address} }
