package e2etest

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// roundcubeRound reads, searches, flags, files, deletes and sends in Roundcube.
func roundcubeRound(t *testing.T, s *site) {
	a, friend := s.newAccount(t, "anna"), s.newAccount(t, "bela")
	for _, subject := range []string{"apples", "bananas", "cherries"} {
		a.put(t, "INBOX", message("x@example.com", a.address, subject, "text of "+subject))
	}
	r := newRoundcube(t, a)
	mailbox := func(name string, more ...string) url.Values {
		v := url.Values{"_mbox": {name}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	lists := func(name string, want ...string) map[string]string {
		t.Helper()
		uids := rows(r.ask("mail", "list", mailbox(name, "_refresh", "1")))
		if got := slices.Sorted(maps.Keys(uids)); !slices.Equal(got, want) {
			t.Fatalf("%s is listed as %q, want %q", name, got, want)
		}
		return uids
	}
	uids := lists("INBOX", "apples", "bananas", "cherries")

	if page := r.get("mail", mailbox("INBOX", "_action", "show", "_uid", uids["bananas"])); !strings.Contains(page, "text of bananas") {
		t.Fatalf("the message does not show:\n%s", page)
	}
	r.ask("mail", "mark", mailbox("INBOX", "_uid", uids["bananas"], "_flag", "read"))
	r.ask("mail", "mark", mailbox("INBOX", "_uid", uids["apples"], "_flag", "flagged"))
	a.expect(t, "INBOX", `apples \Flagged`, `bananas \Seen`, "cherries")

	for q, want := range map[string]string{"text of cherries": "cherries", "nothing like this": ""} {
		found := rows(r.ask("mail", "search", mailbox("INBOX", "_q", q, "_headers", "subject,text", "_filter", "ALL", "_scope", "base")))
		if got := strings.Join(slices.Collect(maps.Keys(found)), " "); got != want {
			t.Errorf("the search for %q found %q, want %q", q, got, want)
		}
	}
	found := rows(r.ask("mail", "search", mailbox("INBOX", "_q", "apples", "_headers", "subject", "_filter", "FLAGGED", "_scope", "all")))
	if found["apples"] != uids["apples"]+"-INBOX" || len(found) != 1 {
		t.Errorf("the search of all mailboxes found %q", found)
	}

	r.post("settings", url.Values{"_action": {"folder-save"}, "_name": {"Öffentlich"}, "_parent": {""}, "_mbox": {""}})
	const filed = "&ANY-ffentlich"
	r.ask("mail", "move", mailbox("INBOX", "_uid", uids["bananas"], "_target_mbox", filed))
	a.expect(t, "Öffentlich", `bananas \Seen`)
	r.ask("mail", "copy", mailbox("INBOX", "_uid", uids["apples"], "_target_mbox", filed))
	a.expect(t, "Öffentlich", `bananas \Seen`, `apples \Flagged`)
	r.ask("mail", "move", mailbox("INBOX", "_uid", uids["cherries"], "_target_mbox", "Trash")) // as its button does
	a.expect(t, "INBOX", `apples \Flagged`)
	a.expect(t, "Trash", `cherries \Seen`)
	lists("INBOX", "apples")
	r.ask("mail", "move", mailbox(filed, "_uid", lists(filed, "apples", "bananas")["apples"], "_target_mbox", "Trash"))
	r.ask("mail", "delete", mailbox("Trash", "_uid", lists("Trash", "apples", "cherries")["apples"]))
	a.expect(t, "Trash", `cherries \Seen`)
	r.ask("mail", "purge", mailbox("Trash"))
	a.expect(t, "Trash")

	// What others do meanwhile is seen with the next look.
	friend.put(t, "INBOX", message("x@example.com", friend.address, "for the friend", "text"))
	a.put(t, "INBOX", message("x@example.com", a.address, "dates", "text of dates"))
	if calls := r.ask("mail", "check-recent", mailbox("INBOX", "_list", "1")); rows(calls)["dates"] == "" {
		t.Errorf("new mail is not told of: %s", calls)
	}
	r.send(friend.address, "Grüße", "from Roundcube")
	friend.expect(t, "INBOX", "for the friend", "Grüße")
	a.expect(t, "Sent", `Grüße \Seen`)
}

// send composes and sends a message, and keeps a copy of it.
func (r *roundcube) send(to, subject, text string) {
	r.t.Helper()
	page := r.get("mail", url.Values{"_action": {"compose"}})
	form := url.Values{"_action": {"send"}, "_id": {r.find(page, `"compose_id":"([^"]+)"`)}, "_to": {to}, "_subject": {subject},
		"_message": {text}, "_is_html": {"0"}, "_store_target": {"Sent"}, "_charset": {"UTF-8"}, "_draft": {""}, "_attachments": {""}}
	form.Set("_from", r.find(page, `(?s)<select name="_from".*?<option value="(\d+)"`))
	if answer := r.post("mail", form); !strings.Contains(answer, "sent_successfully") {
		r.t.Fatalf("it was not sent:\n%s", answer)
	}
}
