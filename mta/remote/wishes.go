package remote

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/mta"
)

const (
	tooLate   mta.Enhanced = "5.4.7" // RFC 2852, section 4
	noFeature mta.Enhanced = "5.3.3"
)

// wishes are the parameters of MAIL that pass on by when and how urgently a message is wanted, or why the host cannot have
// it: one that is to come back in time goes to nobody who does not see to that (RFC 2852, section 4).
func (a *attempt) wishes(s *session, now time.Time) (params string, refusal *mta.Reply) {
	env := a.job.Envelope
	least, known := s.ext["DELIVERBY"]
	switch {
	case env.By.Mode == "":
	case env.By.Mode == mta.ByReturn && !known:
		return "", mta.Replyf(0, noFeature, "The message is to come back unless it is delivered in time, and the host does not know DELIVERBY")
	case env.By.Mode == mta.ByReturn && env.By.Time.Sub(now) < max(time.Second, seconds(least)):
		return "", mta.Replyf(0, tooLate, "There is not enough time left to deliver the message as was asked for")
	case known:
		params += " BY=" + env.By.Value(now)
	}
	if _, known := s.ext["MT-PRIORITY"]; known && env.Priority != 0 {
		params += fmt.Sprintf(" MT-PRIORITY=%d", env.Priority)
	}
	return params, nil
}

// seconds reads the least time that a host takes, which it need not say.
func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 30)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
