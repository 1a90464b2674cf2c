package receiver

import (
	"regexp"
	"strings"

	"github.com/rookery-mail/rookery/mta"
)

// Meaning is what a reply says of us, apart from what it says of the message.
type Meaning int

// The meanings.
const (
	Nothing Meaning = iota
	Slower          // too much, or too fast
	Blocked         // the address that we come from is not wanted
)

// rule is words that have a meaning. All that is set must be found.
type rule struct {
	means    Meaning
	enhanced string         // prefix of the code behind its first digit, such as ".7.25"
	text     *regexp.Regexp // in lower case
}

// The rules in order: the first that fits counts. What is of one receiver follows its documentation: Google's "SMTP error
// reference", Microsoft's NDR codes and the troubleshooting page of Outlook.com, Yahoo's "SMTP error codes", the
// postmaster pages of Apple, GMX and WEB.DE, Deutsche Telekom, Orange, Comcast. The rest is how Postfix, Exim and the
// large filters say it.
var (
	about = regexp.MustCompile(`recipient's|by recipient|by the recipient|the user you are trying to contact|sender address|envelope|mail from|` +
		`your domain|sending domain|sender domain|spf domain|dkim domain|domain reputation|reputation of the domain|` +
		`attachment|virus|malware|\burls?\b|\blinks?\b|surbl|uribl|dbl\.spamhaus|message contains|content of|greylist|graylist`)
	rules = []rule{
		// Google
		{means: Blocked, enhanced: ".7.25"},
		{means: Blocked, text: regexp.MustCompile(`unsolicited (mail|email) originating from your ip|reputation of the sending ip|the ip you're using to send mail is not authorized`)},
		{means: Slower, enhanced: ".7.28"},
		// Microsoft
		{means: Blocked, text: regexp.MustCompile(`\((s3140|s3150|s775|s844)\)|\b(sc-00[1-4]|dy-00[12]|ou-00[12])\b|banned sending ip|rate limited due to ip reputation|part of their network is on our block list`)},
		{means: Slower, text: regexp.MustCompile(`\brp-00[1-3]\b`)},
		// Yahoo
		{means: Blocked, text: regexp.MustCompile(`\[(tss?[0-9]+|bl[0-9]+|ipts[0-9]+|gl01)\]`)},
		// GMX, WEB.DE, IONOS; Deutsche Telekom
		{means: Blocked, text: regexp.MustCompile(`no smtp service|bad dns ptr|ip address is (block|black) ?listed|reject due to policy restrictions|ask your postmaster for help or to contact tosa@`)},
		// Orange, SFR, laposte
		{means: Slower, text: regexp.MustCompile(`\b(ofr004|ofr_?10[0-9]|lpn007_510)\b`)},
		{means: Blocked, text: regexp.MustCompile(`\b(ofr005|ofr_?50[0-9]|lpnaab_|lpn007_4)`)},
		// Anybody
		{means: Slower, text: regexp.MustCompile(`maximum number of connections|too many (concurrent |simultaneous |smtp )*(connections|sessions|messages)|concurrent connections|connection (rate|limit)|rate.?limit|throttl|` +
			`too (fast|quickly)|slow down|unusual rate|sending rate|excessive rate|too much mail`)},
		{means: Blocked, text: regexp.MustCompile(`(client host|host|ip|address|server|\]) (was |is |has been |were )?(temporarily )?(blocked|banned|blacklisted|blocklisted|denylisted)|` +
			`spamhaus|spamcop|barracudacentral|uceprotect|abusix|\b(dnsbl|rbl|senderbase|senderscore)\b|(black|block|deny)[ -]?list|` +
			`(poor|bad|low) (ip )?reputation|ip reputation|reputation of your (ip|server|network)|reverse dns|\bptr\b|cannot find your (reverse )?hostname`)},
	}
)

// Read says what a reply means. Of 421 it is at least that we come too fast (RFC 5321, section 3.8), unless
// it only ends a connection that was idle.
func Read(r mta.Reply) Meaning {
	if r.Code < 400 {
		return Nothing
	}
	text := strings.ToLower(strings.ReplaceAll(r.Text, "\n", " "))
	tail := ""
	if e := string(r.Enhanced); len(e) > 1 {
		tail = e[1:]
	}
	if tail != ".2.1" && !about.MatchString(text) {
		for _, x := range rules {
			if (x.enhanced == "" || x.enhanced == tail) && (x.text == nil || x.text.MatchString(text)) {
				return x.means
			}
		}
	}
	if r.Code == 421 && r.Enhanced != "4.4.2" {
		return Slower
	}
	return Nothing
}
