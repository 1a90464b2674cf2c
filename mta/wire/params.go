package wire

import (
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

// Known says which parameters of MAIL and RCPT are known beside those that always are.
type Known struct {
	Auth bool // AUTH= (RFC 4954, section 5); its value is not used, since nothing trusts it
	DSN  bool // RET=, ENVID=, NOTIFY=, ORCPT= (RFC 3461)
	// Queue is for HOLDFOR= and HOLDUNTIL= (RFC 4865), BY= (RFC 2852) and MT-PRIORITY= (RFC 6710), which count from Now.
	Queue      bool
	Now        time.Time
	RequireTLS bool // REQUIRETLS (RFC 8689)
}

// ReadMail reads the argument of MAIL. Its errors are replies, for the client as they are.
func ReadMail(arg string, known Known) (mta.Envelope, Path, error) {
	p, err := ReadPath(arg, "FROM:")
	if err != nil {
		return mta.Envelope{}, p, mta.Replyf(501, mta.BadSyntax, "Syntax: MAIL FROM:<address> [parameters]")
	}
	e := mta.Envelope{From: p.Address}
	for _, q := range p.Params {
		read := readMailParam
		switch {
		case known.DSN && (q.Keyword == "RET" || q.Keyword == "ENVID"):
			read = readReportParam
		case known.Queue && (q.Keyword == "HOLDFOR" || q.Keyword == "HOLDUNTIL" || q.Keyword == "BY" || q.Keyword == "MT-PRIORITY"):
			read = readQueueParam
		}
		if err := read(&e, q, known); err != nil {
			return e, p, err
		}
	}
	if !p.ASCII && !e.UTF8 {
		return e, p, mta.Replyf(553, mta.NeedsUTF8, "This address needs SMTPUTF8")
	}
	return e, p, nil
}

func readMailParam(e *mta.Envelope, q Param, known Known) error {
	switch {
	case q.Keyword == "SIZE":
		n, err := strconv.ParseInt(q.Value, 10, 64)
		if err != nil || n < 0 {
			return mta.Replyf(501, mta.BadArgument, "SIZE is not a number of octets")
		}
		e.Size = n
	case q.Keyword == "BODY":
		e.Body = mta.Body(strings.ToUpper(q.Value))
		if e.Body != mta.Body7Bit && e.Body != mta.Body8Bit {
			return mta.Replyf(501, mta.BadArgument, "BODY is 7BIT or 8BITMIME here")
		}
	case q.Keyword == "SMTPUTF8" && q.Value == "":
		e.UTF8 = true
	case q.Keyword == "AUTH" && known.Auth:
	case q.Keyword == "REQUIRETLS" && q.Value == "" && known.RequireTLS:
		e.RequireTLS = true
	default:
		return mta.Replyf(555, mta.BadArgument, "Parameter not known here: %s", q.Keyword)
	}
	return nil
}

// What RFC 3461 allows of ENVID (section 4.4) and ORCPT (section 4.2), in characters.
const (
	maxEnvID = 100
	maxORCPT = 500
)

func readReportParam(e *mta.Envelope, q Param, _ Known) error {
	if q.Keyword == "RET" {
		e.Return = map[string]mta.Return{"FULL": mta.ReturnFull, "HDRS": mta.ReturnHeaders}[strings.ToUpper(q.Value)]
		if e.Return == mta.ReturnUnsaid {
			return mta.Replyf(501, mta.BadArgument, "RET is FULL or HDRS")
		}
		return nil
	}
	if !mta.CheckXtext(q.Value) || len(q.Value) > maxEnvID {
		return mta.Replyf(501, mta.BadArgument, "ENVID is not xtext of at most %d characters", maxEnvID)
	}
	e.EnvID = q.Value
	return nil
}

func readQueueParam(e *mta.Envelope, q Param, known Known) error {
	switch q.Keyword {
	case "BY":
		by, ok := mta.ParseBy(q.Value, known.Now)
		if !ok {
			return mta.Replyf(501, mta.BadArgument, "BY is seconds;N or seconds;R, with a T behind it or not, and more than 0 with R")
		}
		e.By = by
	case "MT-PRIORITY":
		n, err := strconv.Atoi(q.Value)
		if err != nil || n < mta.LowestPriority || n > mta.HighestPriority {
			return mta.Replyf(501, mta.BadArgument, "MT-PRIORITY is a number from %d to %d", mta.LowestPriority, mta.HighestPriority)
		}
		e.Priority = n
	default:
		if !e.Release.IsZero() {
			return mta.Replyf(501, mta.BadArgument, "HOLDFOR and HOLDUNTIL exclude each other")
		}
		release, ok := readRelease(q, known.Now)
		if !ok {
			return mta.Replyf(501, mta.BadArgument, "%s is not %s", q.Keyword, releaseForm(q.Keyword))
		}
		if release.After(known.Now.Add(mta.MaxHold)) {
			return mta.Replyf(501, mta.BadArgument, "Messages are held for %d days at most", mta.MaxHold/(24*time.Hour))
		}
		e.Release = release
	}
	return nil
}

// readRelease reads HOLDFOR, in seconds, or HOLDUNTIL, a time in UTC (RFC 4865), which must not have passed.
func readRelease(q Param, now time.Time) (time.Time, bool) {
	if q.Keyword == "HOLDUNTIL" {
		t, err := time.Parse("2006-01-02T15:04:05Z", q.Value)
		return t, err == nil && t.After(now)
	}
	n, err := strconv.ParseUint(q.Value, 10, 32)
	return now.Add(time.Duration(n) * time.Second), err == nil && n > 0 && len(q.Value) <= 9
}

func releaseForm(keyword string) string {
	if keyword == "HOLDUNTIL" {
		return "a time to come, such as 2027-01-31T09:00:00Z"
	}
	return "a number of seconds"
}

// ReadRcpt reads the argument of RCPT. Its errors are replies.
func ReadRcpt(arg string, smtputf8 bool, known Known) (mta.Recipient, error) {
	p, err := ReadPath(arg, "TO:")
	r := mta.Recipient{Address: p.Address}
	switch {
	case err != nil:
		return r, mta.Replyf(501, mta.BadSyntax, "Syntax: RCPT TO:<address>")
	case strings.EqualFold(p.Address, "postmaster") && len(p.Params) == 0:
		return r, nil // RFC 5321, section 4.5.1
	case p.Address == "" || !p.Valid:
		return r, mta.Replyf(501, mta.BadRecipient, "This is not an address")
	}
	for _, q := range p.Params {
		if err := readRcptParam(&r, q, known); err != nil {
			return r, err
		}
	}
	if !p.ASCII && !smtputf8 {
		return r, mta.Replyf(553, mta.NeedsUTF8, "This address needs SMTPUTF8")
	}
	return r, nil
}

func readRcptParam(r *mta.Recipient, q Param, known Known) error {
	switch {
	case q.Keyword == "NOTIFY" && known.DSN:
		n, ok := mta.ParseNotify(q.Value)
		if !ok {
			return mta.Replyf(501, mta.BadArgument, "NOTIFY is NEVER, or some of SUCCESS,FAILURE,DELAY")
		}
		r.Notify = n
	case q.Keyword == "ORCPT" && known.DSN:
		kind, text, ok := strings.Cut(q.Value, ";")
		if !ok || kind == "" || !mta.CheckXtext(text) || len(q.Value) > maxORCPT {
			return mta.Replyf(501, mta.BadArgument, "ORCPT is a type, a semicolon and xtext")
		}
		r.ORCPT = q.Value
	default:
		return mta.Replyf(555, mta.BadArgument, "Parameter not known here: %s", q.Keyword)
	}
	return nil
}
