package filter

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/address"
)

// Action is what is done about a message that a filter finds to be spam, or to hold a virus.
type Action string

// The actions.
const (
	ActRefuse Action = "refuse" // 550 5.7.1
	ActJunk   Action = "junk"   // to the mailbox for junk
	ActTag    Action = "tag"    // told, nothing more
)

// Over is what is done about a message that is longer than a filter gets.
type Over string

// What there is.
const (
	OverSkip Over = "skip" // the filter is not asked
	OverHead Over = "head" // it gets as much as it may
)

// Setting is a filter as the operator set it.
type Setting struct {
	Name    string
	Kind    Kind
	Order   uint32        // lower is asked first, equal ones by name
	Address string        // host:port, [IPv6]:port, or unix:/path
	Timeout time.Duration // for all of one message
	Closed  bool          // without an answer the message is deferred; else it goes on
	Found   Action        // spam of spamd, viruses of clamd
	// RefuseAt is the score from which spamd's spam is refused, whatever Found says; 0: none.
	RefuseAt float64
	// Weight is how much the scores of rspamd and spamd count in the score of the message: with 1, what is just spam to the filter
	// gets the 5 points that are just junk here.
	Weight   float64
	Most     int64 // octets that it gets
	Over     Over
	AtOnce   int    // messages; more wait, within Timeout
	User     string // for spamd: whose preferences count; for rspamd: the id of settings
	Password string // for rspamd
	Paused   bool   // it is not asked
}

// The bounds of settings.
const (
	MaxTimeout = 30 * time.Second // of one filter; all together have less than 40 s
	MaxFilters = 20
	maxAtOnce  = 1000
)

var name = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,39}$`)

// Check fills in what is not set and says what is wrong with a setting.
func (s *Setting) Check() error {
	if err := s.words(); err != nil {
		return err
	}
	d := standard(s.Kind)
	if s.Timeout == 0 {
		s.Timeout = d.Timeout
	}
	if s.Most == 0 {
		s.Most = d.Most
	}
	if s.AtOnce == 0 {
		s.AtOnce = 20
	}
	switch {
	case s.Timeout < 100*time.Millisecond || s.Timeout > MaxTimeout:
		return fmt.Errorf("a timeout of %v; 100ms to %v are allowed", s.Timeout, MaxTimeout)
	case s.Most < 1<<10 || s.Most > 1<<30:
		return fmt.Errorf("messages up to %d octets; 1 KiB to 1 GiB are allowed", s.Most)
	case s.AtOnce < 1 || s.AtOnce > maxAtOnce:
		return fmt.Errorf("%d messages at once; 1 to %d are allowed", s.AtOnce, maxAtOnce)
	case !(s.RefuseAt >= 0 && s.RefuseAt < 1e6) || s.RefuseAt > 0 && s.Kind != Spamd:
		return errors.New("a score to refuse at is above 0, and for spamd")
	case !(s.Weight >= 0 && s.Weight <= 10):
		return fmt.Errorf("a weight of %v; 0 to 10 are allowed", s.Weight)
	case s.Password != "" && s.Kind != Rspamd:
		return errors.New("a password is for rspamd")
	case s.User != "" && s.Kind != Rspamd && s.Kind != Spamd:
		return errors.New("a user is for spamd and rspamd")
	case strings.ContainsAny(s.User+s.Password, "\r\n\x00"):
		return errors.New("a user or password has control characters")
	}
	_, _, err := s.Target()
	return err
}

// words looks at what has a choice of words.
func (s *Setting) words() error {
	if !name.MatchString(s.Name) {
		return fmt.Errorf("%.50q is no name: use up to 40 of a-z, 0-9, dot, dash and underscore", s.Name)
	}
	if standard(s.Kind).Timeout == 0 {
		return fmt.Errorf("%.20q is no kind of filter: use milter, rspamd, spamd or clamd", s.Kind)
	}
	if s.Found == "" {
		s.Found = standard(s.Kind).Found
	}
	if s.Found != ActRefuse && s.Found != ActJunk && s.Found != ActTag {
		return fmt.Errorf("%.20q is nothing to do: use refuse, junk or tag", s.Found)
	}
	if s.Over == "" {
		s.Over = OverSkip
	}
	if s.Over != OverSkip && s.Over != OverHead {
		return fmt.Errorf("%.20q is nothing to do with long messages: use skip or head", s.Over)
	}
	return nil
}

// standard is what a kind has where nothing is set, with a Timeout of 0 where there is no such kind. The sizes are those up to which the
// programs look as Debian ships them.
func standard(k Kind) Setting {
	switch k {
	case Milter:
		return Setting{Timeout: 15 * time.Second, Most: 50 << 20, Found: ActJunk}
	case Rspamd:
		return Setting{Timeout: 10 * time.Second, Most: 50 << 20, Found: ActJunk}
	case Spamd:
		return Setting{Timeout: 15 * time.Second, Most: 500 << 10, Found: ActJunk}
	case Clamd:
		return Setting{Timeout: 15 * time.Second, Most: 25 << 20, Found: ActRefuse}
	}
	return Setting{}
}

// Target gives the network and address to connect to.
func (s *Setting) Target() (network, addr string, err error) {
	if path, ok := strings.CutPrefix(s.Address, "unix:"); ok {
		if !strings.HasPrefix(path, "/") || len(path) > 100 || strings.ContainsRune(path, 0) {
			return "", "", fmt.Errorf("%.120q is no path of a socket", path)
		}
		return "unix", path, nil
	}
	if a, err := netip.ParseAddrPort(s.Address); err == nil && a.Port() != 0 {
		return "tcp", a.String(), nil
	}
	host, port, ok := strings.Cut(s.Address, ":")
	if n, err := strconv.ParseUint(port, 10, 16); !ok || err != nil || n == 0 {
		return "", "", fmt.Errorf("%.80q is no address of a filter: use host:port or unix:/path", s.Address)
	}
	if host == "localhost" {
		return "tcp", s.Address, nil
	}
	if _, err := address.ParseDomain(host); err != nil {
		return "", "", fmt.Errorf("%.80q is no address of a filter: %w", s.Address, err)
	}
	return "tcp", s.Address, nil
}

// Portion is how many octets of a message a filter gets, and whether it is asked at all.
func (s *Setting) Portion(size int64) (octets int64, ask bool) {
	if size <= s.Most {
		return size, true
	}
	return s.Most, s.Over == OverHead
}

// check is the name of the filter in findings.
func (s *Setting) check() string { return string(s.Kind) + ":" + s.Name }
