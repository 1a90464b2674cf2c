package receiver_test

import (
	"testing"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/receiver"
)

func TestSite(t *testing.T) {
	for host, want := range map[string]string{
		"aspmx.l.google.com": "google.com", "ALT1.aspmx.l.GOOGLE.com.": "google.com", "aspmx2.googlemail.com": "google.com",
		"example-org.mail.protection.outlook.com": "outlook.com", "example-org.a-v1.mx.microsoft": "outlook.com",
		"mta5.am0.yahoodns.net": "yahoodns.net", "mx.example.co.uk": "example.co.uk", "example.org": "example.org",
		"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "localhost": "localhost", "": "",
	} {
		if got := receiver.Site(host); got != want {
			t.Errorf("%s is of %q, not %q", host, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		code     int
		enhanced mta.Enhanced
		text     string
		want     receiver.Meaning
	}{
		{421, "4.7.28", "[192.0.2.1] Our system has detected an unusual rate of\nunsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited.", receiver.Blocked},
		{421, "4.7.28", "Gmail has detected an unusual rate of unsolicited email originating from your SPF domain [example.org].", receiver.Slower},
		{550, "5.7.1", "[192.0.2.1 12] Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address.", receiver.Blocked},
		{550, "5.7.1", "Our system has detected that this message is likely suspicious due to the very low reputation of the sending domain.", receiver.Nothing},
		{550, "5.7.25", "The IP address sending this message does not have a PTR record setup", receiver.Blocked},
		{550, "5.7.26", "This mail has been blocked because the sender is unauthenticated.", receiver.Nothing},
		{450, "4.2.1", "The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.", receiver.Nothing},
		{550, "5.7.1", "Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).", receiver.Blocked},
		{451, "4.7.650", "The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)", receiver.Blocked},
		{421, "", "RP-001 (BAY004-MC1F1) Unfortunately, some messages from 192.0.2.1 weren't sent. The mail server IP connecting to Outlook.com server has exceeded the rate limit allowed.", receiver.Slower},
		{451, "4.7.652", "The mail server [192.0.2.1] has exceeded the maximum number of connections.", receiver.Slower},
		{550, "5.7.606", "Access denied, banned sending IP [192.0.2.1]", receiver.Blocked},
		{421, "4.7.0", "[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", receiver.Blocked},
		{553, "5.7.1", "[BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list", receiver.Blocked},
		{554, "", "gmx.net (mxgmx016) Nemesis ESMTP Service not available\nNo SMTP service\nBad DNS PTR resource record.", receiver.Blocked},
		{554, "", "IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.t-online.de to clarify.)", receiver.Blocked},
		{421, "", "mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR004_104 [104]", receiver.Slower},
		{554, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", receiver.Blocked},
		{450, "4.7.25", "Client host rejected: cannot find your hostname, [192.0.2.1]", receiver.Blocked},
		{421, "4.3.2", "Service not available", receiver.Slower},
		{421, "4.4.2", "Error: timeout exceeded", receiver.Nothing},
		{450, "4.7.1", "Greylisted, come back", receiver.Nothing},
		{550, "5.7.1", "The sender is on the recipient's blacklist", receiver.Nothing},
		{554, "5.7.1", "Message contains a URL that is listed at dbl.spamhaus.org", receiver.Nothing},
		{550, "5.1.1", "No such user", receiver.Nothing},
		{552, "5.2.2", "Mailbox full", receiver.Nothing},
		{250, "2.0.0", "too many messages of thanks", receiver.Nothing},
		{451, "4.7.1", "Received too many messages from a new or untrusted IP (G28)", receiver.Slower},
	} {
		if got := receiver.Read(mta.Reply{Code: c.code, Enhanced: c.enhanced, Text: c.text}); got != c.want {
			t.Errorf("%d %s %s means %d, not %d", c.code, c.enhanced, c.text, got, c.want)
		}
	}
}

func TestTable(t *testing.T) {
	table, err := receiver.ParseTable("google.com=3/4/5 *=6/7/0")
	if err != nil {
		t.Fatal(err)
	}
	for site, want := range map[string]receiver.Limits{"google.com": {3, 4, 5}, "yahoodns.net": {10, 20, 0}, "example.org": {6, 7, 0}} {
		if got := table.Of(site); got != want {
			t.Errorf("%s: %v, not %v", site, got, want)
		}
	}
	if got := (receiver.Table)(nil).Of("example.org"); got != receiver.Default() {
		t.Error(got)
	}
	for _, bad := range []string{"google.com", "=1/2/3", "a=1/2", "a=0/1/1", "a=1/x/1", "a=1/1/-1", "a=1/1/9999999"} {
		if _, err := receiver.ParseTable(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzRead: whatever a host says means something or nothing.
func FuzzRead(f *testing.F) {
	f.Add(421, "4.7.0", "[TSS04] too many connections")
	f.Add(0, "", "")
	f.Add(550, ".", "\n\xff")
	f.Fuzz(func(t *testing.T, code int, enhanced, text string) {
		if m := receiver.Read(mta.Reply{Code: code, Enhanced: mta.Enhanced(enhanced), Text: text}); m < receiver.Nothing || m > receiver.Blocked {
			t.Error(m)
		}
	})
}
