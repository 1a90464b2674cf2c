package directory

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
	"github.com/rookery-mail/rookery/cluster/guard"
)

// defaultDelimiter is what sendmail and most others after it used for subaddresses.
const defaultDelimiter = "+"

// Settings is what is set once for the whole cluster, with the defaults filled in.
type Settings struct {
	SubaddressDelimiter string // each character of it is a delimiter; empty: no subaddresses
	Postmaster          string // canonical address, or empty
	QuotaBytes          uint64 // per account, 0: none
	QuotaMessages       uint64 // per account, 0: none
	MaxMessageSize      uint64 // octets
	MaxRecipients       int    // per transaction
	ReplicationFactor   int    // voters of a partition
	PasswordIterations  int    // PBKDF2 count of new passwords
	ChannelBinding      bool   // whether the SCRAM mechanisms with PLUS are offered
	TrustedNetworks     string // networks that no ban locks out, apart by a space: see Trusts
	BanFailures         int    // failed logins at which a network is banned, 0: never
	BanWindowMinutes    int    // within which they count
	BanMinutes          int    // for which it is banned
	SCRAMSHA1           bool   // whether SCRAM-SHA-1 is offered, and new passwords keep its keys
	TraceDays           int    // how long the stories of messages are kept, 0: there are none
	UndeleteDays        int    // how long expunged mail is kept, 0: not at all
	UncheckedNetworks   string // networks whose mail is not checked: see Unchecked
	TLSReports          bool   // whether domains that ask for it are told how TLS with their hosts went
	OIDCIssuer          string // URL of the issuer whose tokens are taken, or empty
	OIDCAudience        string // for whom tokens have to be, or empty
	OIDCClaim           string // the claim of a token that holds the account's address
	ARC                 bool   // whether what is sent on is sealed
	ARCTrusted          string // domains whose seals are believed, apart by a space
	DMARCReports        bool   // whether domains that ask for it are told what came in their name
	Bayes               bool   // whether mail is classified by what users took for junk, and that is learnt
	BayesLeast          int    // messages of each kind that a model must have learnt before it counts
	BayesSharedDay      int    // messages of an account in a day that the cluster's model learns from
	BounceTags          string // off, sign or refuse: see mta/batv
	DKIM                bool   // whether domains get keys and their mail is signed
	DKIMRotationDays    int    // after which a key gets a successor, 0: never
	SRS                 bool   // whether the senders of what is sent on are rewritten

	QueueLife      time.Duration   // for which a message to another domain is tried
	QueueNotice    time.Duration   // after which its sender is told that it is late, 0: never
	QueueSchedule  []time.Duration // from one attempt to the next; the last again and again
	ReceiverLimits string          // what a receiver is sent at most, as receiver.ParseTable of mta reads it

	DMARCPolicy       string  // follow, quarantine or tag: what of mail that fails DMARC
	DMARCLists        string  // junk or follow: what of mailing lists' mail that it would refuse
	DMARCUnknown      string  // accept or defer: what of mail whose domain cannot be asked now
	JunkScore         float64 // from which on mail goes to Junk, 0: never
	RefuseScore       float64 // from which on it is refused, 0: never
	SeveralFrom       string  // refuse or junk: what of mail with several From fields
	SubaddressFolders string  // off or existing: whether user+folder is for a mailbox
	Viruses           string  // refuse or junk

	CheckEarly        string  // off, score or refuse, as the next three: clients of port 25 that do not wait for their turn
	CheckHelo         string  // their greetings
	CheckReverse      string  // names of their addresses
	CheckSender       string  // domains of senders
	DNSBLRefuse       float64 // sum of the lists' scores from which on recipients are refused, 0: never
	GreylistMinutes   int     // after which who is suspicious may come again
	GreylistScore     float64 // from which on a client is suspicious, 0: never
	HarvestRecipients int     // recipients whom nobody knows at which a network is banned, 0: never
	RateAddress       Rates   // of a client's address
	RateNetwork       Rates   // of its IPv4 /24 or IPv6 /64
	RateSender        Rates   // of a sender; without connections

	SendMessagesHour  int    // messages to other domains that an account may send in an hour, 0: any number
	SendRecipientsDay int    // recipients there in a day
	SendStrangersDay  int    // those of them in a day that it never wrote to before
	SendRejectionsDay int    // those of them in a day whose hosts may refuse them
	SendOver          string // refuse or hold: what becomes of more
}

// Definition is one row of the table of settings.
type Definition struct {
	Name    string
	Form    string // what a value looks like
	Default string // in the form that a value is shown in
	Meaning string // one sentence

	apply func(s *Settings, text string) (canonical string, err error)
}

// Definitions is the table of settings, by name. docs/ and `rookery setting list` are made of it.
func Definitions() []Definition {
	return []Definition{
		{"arc", "on or off", "on", "Whether mail that an alias sends on to another domain gets a seal with what it was when it came (ARC).",
			switchSetting(func(s *Settings) *bool { return &s.ARC })},
		{"arc_trusted", "up to 100 domains, apart by spaces, or empty", "", "The domains of those who send mail on, such as mailing lists, whose seals (ARC) are believed: where one says that DMARC passed there, a failure here does not count.",
			domainsSetting(func(s *Settings) *string { return &s.ARCTrusted })},
		{"ban_failures", "0 to 1000, 0 for never", "20", "At how many failed logins within ban_window_minutes a network is banned, and as many more for each user that logs in from it meanwhile.",
			intSetting(0, guard.MaxFailures, func(s *Settings) *int { return &s.BanFailures })},
		{"ban_minutes", "1 to 525600", "60", "For how many minutes a network is banned that failed too often.",
			intSetting(1, 525_600, func(s *Settings) *int { return &s.BanMinutes })},
		{"ban_window_minutes", "1 to 1440", "15", "For how many minutes a failed login counts towards a ban.",
			intSetting(1, 1440, func(s *Settings) *int { return &s.BanWindowMinutes })},
		{"bayes", "on or off", "on", "Whether mail is classified by what users took for junk before, and what they take for it is learnt; see `rookery spam`.",
			switchSetting(func(s *Settings) *bool { return &s.Bayes })},
		{"bayes_least", "1 to 100000", "50", "How many messages of each kind, junk and not, an account or the cluster must have learnt before that counts.",
			intSetting(1, 100_000, func(s *Settings) *int { return &s.BayesLeast })},
		{"bayes_shared_day", "0 to 1000, 0 for none", "20", "How many messages of an account in a day the whole cluster learns from; it bounds what one account can do to the others.",
			intSetting(0, 1000, func(s *Settings) *int { return &s.BayesSharedDay })},
		{"bounce_tags", "off, sign or refuse", "off", "Whether senders of mail out are tagged, and what is no bounce of theirs is known (BATV): sign tags them; refuse also refuses mail without a sender to users who are not addressed by a tag.",
			choiceSetting(func(s *Settings) *string { return &s.BounceTags }, "off", "sign", "refuse")},
		{"channel_binding", "on or off", "on", "Whether SCRAM with channel binding (PLUS) is offered; off helps clients that choose it and cannot do it, such as mutt of Debian 12.",
			switchSetting(func(s *Settings) *bool { return &s.ChannelBinding })},
		{"check_early", "off, score or refuse", "refuse", "What becomes of clients of port 25 that speak before the greeting, or send commands in a row before that is offered: score counts it against their mail, refuse ends the connection.",
			choiceSetting(func(s *Settings) *string { return &s.CheckEarly }, "off", "score", "refuse")},
		{"check_helo", "off, score or refuse", "score", "What becomes of clients of port 25 that greet as us, as an address that is not theirs, or as what is no name of a host.",
			choiceSetting(func(s *Settings) *string { return &s.CheckHelo }, "off", "score", "refuse")},
		{"check_reverse", "off, score or refuse", "score", "What becomes of clients of port 25 whose address has no name in DNS; a name that does not lead back, or that looks lent out, counts but is never refused.",
			choiceSetting(func(s *Settings) *string { return &s.CheckReverse }, "off", "score", "refuse")},
		{"check_sender", "off, score or refuse", "refuse", "What becomes of mail on port 25 whose sender's domain does not exist or takes no mail; with refuse, one that DNS does not answer about is put off.",
			choiceSetting(func(s *Settings) *string { return &s.CheckSender }, "off", "score", "refuse")},
		{"dkim", "on or off", "on", "Whether each domain gets keys, and mail out is signed with those that DNS publishes (DKIM); see `rookery dkim list`.",
			switchSetting(func(s *Settings) *bool { return &s.DKIM })},
		{"dkim_rotation_days", "0 to 3650, 0 for never", "180", "After how many days a DKIM key gets a successor, which signs once DNS publishes it.",
			intSetting(0, 3650, func(s *Settings) *int { return &s.DKIMRotationDays })},
		{"dmarc_lists", "junk or follow", "junk", "What becomes of mail that a mailing list, authenticated itself, passes on, and that its author's domain wants refused (DMARC): it goes to Junk, or dmarc_policy is followed for it too.",
			choiceSetting(func(s *Settings) *string { return &s.DMARCLists }, "junk", "follow")},
		{"dmarc_policy", "follow, quarantine or tag", "follow", "What becomes of mail that is not from the domain it names (DMARC): follow refuses it or puts it to Junk as that domain asks, quarantine puts it to Junk where it asks for either, tag only says so in the message.",
			choiceSetting(func(s *Settings) *string { return &s.DMARCPolicy }, "follow", "quarantine", "tag")},
		{"dmarc_reports", "on or off", "off", "Whether domains that ask for it are told once a day what came in their name (aggregate reports, DMARC). Those whose mail is all junk, or hardly any, are not.",
			switchSetting(func(s *Settings) *bool { return &s.DMARCReports })},
		{"dmarc_unknown", "accept or defer", "accept", "What becomes of mail whose domain's wishes (DMARC) cannot be learnt now, since DNS does not answer.",
			choiceSetting(func(s *Settings) *string { return &s.DMARCUnknown }, "accept", "defer")},
		{"dnsbl_refuse", "0 to 1000, 0 for never", "10", "The sum of the scores of lists (`rookery dnsbl`) from which on a client's recipients are refused, but for the postmaster.",
			scoreSetting(0, 1000, func(s *Settings) *float64 { return &s.DNSBLRefuse })},
		{"greylist_minutes", "1 to 1440", "5", "After how many minutes a client that was asked to come again may.",
			intSetting(1, 1440, func(s *Settings) *int { return &s.GreylistMinutes })},
		{"greylist_score", "0 to 1000, 0 for never", "2", "The score of connection and envelope from which on a client that is not known is asked to come again (greylisting).",
			scoreSetting(0, 1000, func(s *Settings) *float64 { return &s.GreylistScore })},
		{"harvest_recipients", "0 to 1000, 0 for never", "50", "At how many recipients that nobody knows within ban_window_minutes a network is banned; answers wait from a quarter of them on. Each recipient whose mail was taken meanwhile makes room for as many more.",
			intSetting(0, guard.MaxFailures, func(s *Settings) *int { return &s.HarvestRecipients })},
		{"junk_score", "0 to 1000, 0 for never", "5", "The score of all checks from which on mail goes to Junk.",
			scoreSetting(0, 1000, func(s *Settings) *float64 { return &s.JunkScore })},
		{"max_message_size", "a size, 64KiB to 1GiB", "50MiB", "The largest message that is accepted.",
			sizeSetting(64<<10, 1<<30, func(s *Settings) *uint64 { return &s.MaxMessageSize })},
		{"max_recipients", "100 to 100000", "1000", "How many recipients one SMTP transaction may have.",
			intSetting(100, 100_000, func(s *Settings) *int { return &s.MaxRecipients })},
		{"oidc_audience", "a word, or empty", "", "Which audience (aud) the tokens of oidc_issuer have to be for; none are taken while it is empty.",
			wordSetting(true, func(s *Settings) *string { return &s.OIDCAudience })},
		{"oidc_claim", "a word", "email", "Which claim of a token holds the address of the account; with email, email_verified has to be true.",
			wordSetting(false, func(s *Settings) *string { return &s.OIDCClaim })},
		{"oidc_issuer", "a URL that begins with https://, or empty", "", "The OpenID Connect issuer whose tokens let users in by OAUTHBEARER and XOAUTH2, as its tokens name it.",
			issuerSetting(func(s *Settings) *string { return &s.OIDCIssuer })},
		{"password_iterations", "4096 to 1000000", strconv.Itoa(credential.Iterations), "The PBKDF2 count that new passwords are kept with.",
			intSetting(credential.MinIterations, credential.MaxIterations, func(s *Settings) *int { return &s.PasswordIterations })},
		{"postmaster", "an address, or empty", "", "Who gets mail for the postmaster of a domain that has none; empty: the first administrator.",
			addressSetting(func(s *Settings) *string { return &s.Postmaster })},
		{"queue_life", "a time from 10m to 30d, such as 5d", "5d", "How long a message to another domain is tried before it goes back to its sender.",
			durationSetting(10*time.Minute, 30*day, false, func(s *Settings) *time.Duration { return &s.QueueLife })},
		{"queue_notice", "a time from 1m to 30d, such as 4h, or 0 for never", "4h", "After which time a sender is told that a message was not delivered yet.",
			durationSetting(time.Minute, 30*day, true, func(s *Settings) *time.Duration { return &s.QueueNotice })},
		{"queue_schedule", "up to 32 times from 1s to 7d, apart by spaces", "2m 5m 15m 30m 1h 2h 4h", "How long after one attempt the next is made; the last goes on for ever. Each is made longer by up to an eighth, so that not all come at once.",
			scheduleSetting(time.Second, 7*day, func(s *Settings) *[]time.Duration { return &s.QueueSchedule })},
		{"quota_bytes", "a size, 0 for none", "0", "How much mail an account may keep that has no quota of its own.",
			sizeSetting(0, 1<<60, func(s *Settings) *uint64 { return &s.QuotaBytes })},
		{"quota_messages", "a number, 0 for none", "0", "How many messages an account may keep that has no quota of its own.",
			countSetting(func(s *Settings) *uint64 { return &s.QuotaMessages })},
		{"rate_address", "connections a minute/messages an hour/recipients an hour, 0 for any number", "200/5000/20000", "How much may come to one node of an address (IPv6: of a /64) on port 25.",
			ratesSetting(true, func(s *Settings) *Rates { return &s.RateAddress })},
		{"rate_network", "connections a minute/messages an hour/recipients an hour, 0 for any number", "1000/20000/100000", "How much may come to one node of an IPv4 /24 or an IPv6 /64 on port 25.",
			ratesSetting(true, func(s *Settings) *Rates { return &s.RateNetwork })},
		{"rate_sender", "messages an hour/recipients an hour, 0 for any number", "2000/20000", "How much may come to one node of a sender on port 25, wherever it comes from.",
			ratesSetting(false, func(s *Settings) *Rates { return &s.RateSender })},
		{"receiver_limits", "site=connections/messages/rate, apart by spaces, or empty", "", "What a receiver is sent by one node at most: connections at a time, messages over one connection, and messages a minute, 0 for no bound; " +
			"a site is the domain of a receiver's mail hosts, such as google.com, and * is all that have no limits of their own.",
			limitsSetting(func(s *Settings) *string { return &s.ReceiverLimits })},
		{"refuse_score", "0 to 1000, 0 for never", "15", "The score of all checks from which on mail is refused.",
			scoreSetting(0, 1000, func(s *Settings) *float64 { return &s.RefuseScore })},
		{"replication_factor", "1 to 7, odd", "3", "How many nodes keep a full copy of each partition.",
			oddSetting(1, 7, func(s *Settings) *int { return &s.ReplicationFactor })},
		{"scram_sha1", "on or off", "off", "Whether SCRAM-SHA-1 is offered and new passwords keep its keys; it makes guesses against a stolen directory cheaper.",
			switchSetting(func(s *Settings) *bool { return &s.SCRAMSHA1 })},
		{"send_messages_hour", "0 to 1000000, 0 for any number", "500", "How many messages to other domains an account may send in an hour.",
			intSetting(0, 1_000_000, func(s *Settings) *int { return &s.SendMessagesHour })},
		{"send_over", "refuse or hold", "refuse", "What becomes of an account's mail to other domains above one of the send_ bounds: refuse puts it off with a reply that says until when, hold keeps it, and all that comes, until an administrator releases the account.",
			choiceSetting(func(s *Settings) *string { return &s.SendOver }, "refuse", "hold")},
		{"send_recipients_day", "0 to 1000000, 0 for any number", "5000", "How many recipients in other domains an account may write to in a day.",
			intSetting(0, 1_000_000, func(s *Settings) *int { return &s.SendRecipientsDay })},
		{"send_rejections_day", "0 to 1000000, 0 for any number", "200", "How many recipients of an account their hosts may refuse for good in a day. An account that has half of these, and half of send_strangers_day, is held in any case.",
			intSetting(0, 1_000_000, func(s *Settings) *int { return &s.SendRejectionsDay })},
		{"send_strangers_day", "0 to 1000000, 0 for any number", "1000", "How many recipients in other domains an account may write to in a day that it never wrote to before.",
			intSetting(0, 1_000_000, func(s *Settings) *int { return &s.SendStrangersDay })},
		{"several_from", "refuse or junk", "refuse", "What becomes of mail with more than one From field, of which each program shows another.",
			choiceSetting(func(s *Settings) *string { return &s.SeveralFrom }, "refuse", "junk")},
		{"srs", "on or off", "on", "Whether mail that an alias sends on to another domain gets a sender of the alias's domain, by which bounces find back (SRS); without it receivers see a forgery (SPF).",
			switchSetting(func(s *Settings) *bool { return &s.SRS })},
		{"subaddress_delimiter", "up to 4 of + - . _ = # ~, or empty", defaultDelimiter, "The characters of which each ends the user's name in user+detail@domain.",
			delimiterSetting(func(s *Settings) *string { return &s.SubaddressDelimiter })},
		{"subaddress_folders", "off or existing", "off", "Whether mail to user+folder@domain goes to the mailbox of that name, where the user has it.",
			choiceSetting(func(s *Settings) *string { return &s.SubaddressFolders }, "off", "existing")},
		{"tls_reports", "on or off", "on", "Whether domains that ask for it are told once a day how TLS with their hosts went (TLS-RPT, RFC 8460).",
			switchSetting(func(s *Settings) *bool { return &s.TLSReports })},
		{"trace_days", "0 to 365, 0 for not at all", "7", "For how many days the story of each message is kept, for `rookery trace`.",
			intSetting(0, 365, func(s *Settings) *int { return &s.TraceDays })},
		{"trusted_networks", "up to 64 networks such as 192.0.2.0/24, or empty", "", "The networks that no ban locks out and that are not slowed down as a whole: those of a webmail, or of an office behind one address.",
			networksSetting(func(s *Settings) *string { return &s.TrustedNetworks })},
		{"unchecked_networks", "up to 64 networks such as 192.0.2.0/24, or empty", "127.0.0.0/8 ::1/128", "The networks whose mail is taken on MX without a look at who sent it and what is in it: this host, or a relay that has checked it.",
			networksSetting(func(s *Settings) *string { return &s.UncheckedNetworks })},
		{"undelete_days", "0 to 3650, 0 for not at all", "14", "How many days expunged mail can be brought back with `rookery mailbox undelete`.",
			intSetting(0, 3650, func(s *Settings) *int { return &s.UndeleteDays })},
		{"viruses", "refuse or junk", "refuse", "What becomes of mail in which a filter finds a virus.",
			choiceSetting(func(s *Settings) *string { return &s.Viruses }, "refuse", "junk")},
	}
}

// ParseSetting checks a value and gives the text that is stored for it. The error is ErrNotFound for
// a name that is not in the table, and names those that are, or ErrInvalid with the form.
func ParseSetting(name, text string) (canonical string, err error) {
	d, err := definition(name)
	if err != nil {
		return "", err
	}
	return d.parse(&Settings{}, text)
}

func definition(name string) (Definition, error) {
	var names []string
	for _, d := range Definitions() {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return Definition{}, refuse(ErrNotFound, "there is no setting %q; there are: %s", name, strings.Join(names, ", "))
}

func (d Definition) parse(into *Settings, text string) (canonical string, err error) {
	canonical, err = d.apply(into, strings.TrimSpace(text))
	if err != nil {
		return "", refuse(ErrInvalid, "%s cannot be %q: %v; it is %s", d.Name, text, err, d.Form)
	}
	return canonical, nil
}

func intSetting(low, high int, field func(*Settings) *int) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return "", fmt.Errorf("not a number")
		}
		if n < low || n > high {
			return "", fmt.Errorf("out of bounds")
		}
		*field(s) = n
		return strconv.Itoa(n), nil
	}
}

func switchSetting(field func(*Settings) *bool) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		switch text {
		case "on", "off":
			*field(s) = text == "on"
			return text, nil
		}
		return "", fmt.Errorf("neither on nor off")
	}
}

func oddSetting(low, high int, field func(*Settings) *int) func(*Settings, string) (string, error) {
	number := intSetting(low, high, field)
	return func(s *Settings, text string) (string, error) {
		canonical, err := number(s, text)
		if err == nil && *field(s)%2 == 0 {
			return "", fmt.Errorf("an even number of copies survives no more than one fewer")
		}
		return canonical, err
	}
}

func countSetting(field func(*Settings) *uint64) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return "", fmt.Errorf("not a number")
		}
		*field(s) = n
		return strconv.FormatUint(n, 10), nil
	}
}

func addressSetting(field func(*Settings) *string) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		if text == "" {
			*field(s) = ""
			return "", nil
		}
		a, err := address.Parse(text)
		if err != nil {
			return "", err
		}
		*field(s) = a.String()
		return a.String(), nil
	}
}

func delimiterSetting(field func(*Settings) *string) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		if len(text) > 4 {
			return "", fmt.Errorf("too many characters")
		}
		if strings.Trim(text, "+-._=#~") != "" {
			return "", fmt.Errorf("a character that is no delimiter")
		}
		*field(s) = text
		return text, nil
	}
}
