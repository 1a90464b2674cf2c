package adminapi

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// learner answers for what is learnt, and remembers what it was asked.
type learner struct{ asked []string }

var _ Spam = (*learner)(nil)

func (l *learner) note(format string, args ...any) {
	l.asked = append(l.asked, fmt.Sprintf(format, args...))
}

func (l *learner) SpamStatus(_ context.Context, address string) (SpamStatus, error) {
	l.note("status of %q", address)
	return SpamStatus{}, nil
}

func (l *learner) SpamTrainings(_ context.Context, address string) ([]SpamTraining, error) {
	l.note("trainings of %s", address)
	return nil, nil
}

func (l *learner) TrainSpam(_ context.Context, address string, in SpamLesson) (SpamTrained, error) {
	l.note("train %s %q spam=%v", address, in.Message, in.Spam)
	return SpamTrained{}, nil
}

func (l *learner) UndoSpam(_ context.Context, address string, u SpamUndo) (SpamTrained, error) {
	l.note("undo %s %s%s", address, u.ID, u.Message)
	return SpamTrained{}, nil
}

func (l *learner) ForgetSpam(_ context.Context, address string, f SpamForget) (SpamForgotten, error) {
	l.note("forget %s shared=%v", address, f.Shared)
	return SpamForgotten{}, nil
}

func (l *learner) ExplainSpam(_ context.Context, address string, m SpamMessage) (SpamOpinion, error) {
	l.note("explain %q to %q", m.Message, address)
	return SpamOpinion{}, nil
}

// TestSpam: what is asked about spam gets where it belongs, and who has a token only is not told which words mail has.
func TestSpam(t *testing.T) {
	for _, c := range []struct {
		method, path, body, want string
		remote                   int
	}{
		{"GET", "/v1/spam", "", `status of ""`, 200},
		{"GET", "/v1/accounts/a@b/spam", "", `status of "a@b"`, 200},
		{"GET", "/v1/accounts/a@b/spam/trainings", "", "trainings of a@b", 200},
		{"POST", "/v1/accounts/a@b/spam/train", `{"message":"eA==","spam":true}`, `train a@b "x" spam=true`, 200},
		{"POST", "/v1/accounts/a@b/spam/undo", `{"id":"0123"}`, "undo a@b 0123", 200},
		{"POST", "/v1/accounts/a@b/spam/forget", `{"shared":true}`, "forget a@b shared=true", 200},
		{"POST", "/v1/accounts/a@b/spam/explain", `{"message":"eA=="}`, `explain "x" to "a@b"`, 404},
		{"POST", "/v1/spam/explain", `{"message":"eA=="}`, `explain "x" to ""`, 404},
	} {
		for remote, want := range map[bool]int{false: 200, true: c.remote} {
			l := new(learner)
			config := over(&fake{})
			config.Spam = l
			h := Local(config)
			if remote {
				h = Remote(config)
			}
			if got := request(t, h, c.method, c.path, "good", c.body).Code; got != want {
				t.Errorf("%s %s, remote %v: %d, want %d", c.method, c.path, remote, got, want)
			}
			if asked := strings.Join(l.asked, "; "); want == 200 && asked != c.want || want != 200 && asked != "" {
				t.Errorf("%s %s, remote %v: asked %q, want %q", c.method, c.path, remote, asked, c.want)
			}
		}
	}
}
