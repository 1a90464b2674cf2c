package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestSpamTrain: each file is sent as what was said, and whoever does not say is not guessed for.
func TestSpamTrain(t *testing.T) {
	const path = "POST /v1/accounts/a@b.c/spam/train"
	o := newOffice(t)
	o.answers[path] = adminapi.SpamTrained{Changed: true, Was: "spam"}
	file, empty := filepath.Join(t.TempDir(), "m.eml"), filepath.Join(t.TempDir(), "none.eml")
	if err := os.WriteFile(file, []byte("Subject: x\n\ny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "--config", o.config, "spam", "train", "--ham", "a@b.c", file, file)
	if err != nil || !strings.Contains(out, "2 of 2 messages learnt, 2 of which were learnt as the other before") {
		t.Errorf("%s, %v", out, err)
	}
	var in adminapi.SpamLesson
	if err := json.Unmarshal(o.sent[path], &in); err != nil || in.Spam || string(in.Message) != "Subject: x\n\ny\n" {
		t.Errorf("sent %+v, %v", in, err)
	}
	for _, args := range [][]string{{"a@b.c", file}, {"--ham", "--spam", "a@b.c", file}, {"--spam", "a@b.c", empty}, {"--spam", "a@b.c", file + "x"}} {
		delete(o.sent, path)
		if _, err := run(t, append([]string{"--config", o.config, "spam", "train"}, args...)...); err == nil || o.sent[path] != nil {
			t.Errorf("%v: %v, sent %s", args, err, o.sent[path])
		}
	}
}

// TestSpamShown: what is known is printed with what it means.
func TestSpamShown(t *testing.T) {
	o := newOffice(t)
	o.answers["GET /v1/accounts/a@b.c/spam"] = adminapi.SpamStatus{On: true, Least: 50, Cluster: adminapi.SpamModel{Spam: 60, Ham: 70, Counts: true},
		Account: &adminapi.SpamAccount{SpamModel: adminapi.SpamModel{Spam: 3}, Trainings: 3}}
	o.answers["GET /v1/accounts/a@b.c/spam/trainings"] = []adminapi.SpamTraining{{ID: "0123456789abcdef0123456789abcdef", Class: "spam"}}
	o.answers["POST /v1/accounts/a@b.c/spam/undo"] = adminapi.SpamTrained{Changed: true, Was: "spam"}
	o.answers["POST /v1/accounts/a@b.c/spam/forget"] = adminapi.SpamForgotten{Changed: true, TakenBack: 7}
	for _, c := range []struct{ args, want string }{
		{"status a@b.c", "does not count before it has learnt 50 of each"},
		{"list a@b.c", "0123456789ab "},
		{"undo a@b.c 0123456789ab", "It was learnt as spam, and is no more."},
		{"forget a@b.c --shared", "7 messages were taken"},
	} {
		out, err := run(t, append([]string{"--config", o.config, "spam"}, strings.Fields(c.args)...)...)
		if err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %s, %v", c.args, out, err)
		}
	}
	var forget adminapi.SpamForget
	if err := json.Unmarshal(o.sent["POST /v1/accounts/a@b.c/spam/forget"], &forget); err != nil || !forget.Shared {
		t.Errorf("sent %+v, %v", forget, err)
	}
}
