package adminapi

import (
	"context"
	"net/http"
	"time"
)

// Spam is what is learnt of unwanted mail.
type Spam interface {
	// SpamStatus tells what an account has learnt, and the cluster; with an empty address the cluster alone.
	SpamStatus(ctx context.Context, address string) (SpamStatus, error)
	// SpamTrainings lists what can be taken back, the latest first.
	SpamTrainings(ctx context.Context, address string) ([]SpamTraining, error)
	TrainSpam(ctx context.Context, address string, l SpamLesson) (SpamTrained, error)
	UndoSpam(ctx context.Context, address string, u SpamUndo) (SpamTrained, error)
	ForgetSpam(ctx context.Context, address string, f SpamForget) (SpamForgotten, error)
	// ExplainSpam tells what is known of a message; with an empty address by the cluster's model alone.
	ExplainSpam(ctx context.Context, address string, m SpamMessage) (SpamOpinion, error)
}

// SpamModel is what a model has learnt.
type SpamModel struct {
	Spam   uint64 `json:"spam"` // messages
	Ham    uint64 `json:"ham"`
	Tokens int    `json:"tokens"`
	Counts bool   `json:"counts"` // it has learnt enough of each kind
}

// SpamStatus is what there is to classify by.
type SpamStatus struct {
	On      bool              `json:"on"`    // the setting bayes
	Least   int               `json:"least"` // messages of each kind that are enough
	Cluster SpamModel         `json:"cluster"`
	Account *SpamAccount      `json:"account,omitempty"`
	Lessons map[string]uint64 `json:"lessons,omitempty"` // of this node since it started: messages by what became of them
}

// SpamAccount is what an account has learnt.
type SpamAccount struct {
	SpamModel
	Trainings   uint32 `json:"trainings"`    // that can be taken back
	SharedSpam  uint64 `json:"shared_spam"`  // of the messages, those that the cluster learnt too
	SharedHam   uint64 `json:"shared_ham"`   //
	SharedToday uint32 `json:"shared_today"` // in the day that is counted
}

// SpamTraining is a message that was learnt.
type SpamTraining struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Class  string    `json:"class"` // spam or ham
	Tokens int       `json:"tokens"`
	Shared bool      `json:"shared"` // the cluster learnt it too
}

// SpamMessage is a message, of which the first 256 KiB are read.
type SpamMessage struct {
	Message []byte `json:"message"`
}

// SpamLesson says what a message is.
type SpamLesson struct {
	Message []byte `json:"message"`
	Spam    bool   `json:"spam"`
}

// SpamUndo takes a training back, by the start of its id or by its message.
type SpamUndo struct {
	ID      string `json:"id,omitempty"`
	Message []byte `json:"message,omitempty"`
}

// SpamTrained is what became of a training.
type SpamTrained struct {
	Changed bool   `json:"changed"`
	Was     string `json:"was,omitempty"` // what the message was learnt as before
	Shared  bool   `json:"shared"`        // the cluster learns it too
}

// SpamForget says what is forgotten.
type SpamForget struct {
	Shared bool `json:"shared,omitempty"` // what the cluster learnt from the account too, as far as it can be taken back
}

// SpamForgotten says what was.
type SpamForgotten struct {
	Changed   bool `json:"changed"`
	TakenBack int  `json:"taken_back"` // trainings that the cluster had learnt
}

// SpamOpinion is what is known of a message.
type SpamOpinion struct {
	Known       bool        `json:"known"` // a model has learnt enough to tell
	Probability float64     `json:"probability"`
	Score       float64     `json:"score"`
	Tokens      int         `json:"tokens"` // of the message
	Used        int         `json:"used"`   // of those, which counted
	Weightiest  []SpamToken `json:"weightiest,omitempty"`
}

// SpamToken is what is known of one token.
type SpamToken struct {
	Text        string  `json:"text"`
	Spam        uint32  `json:"spam"` // messages that had it, in the model named by of
	Ham         uint32  `json:"ham"`
	Probability float64 `json:"probability"`
	Of          string  `json:"of"` // account or cluster
}

func spamRoutes(mux *http.ServeMux, s Spam) {
	mux.HandleFunc("GET /v1/spam", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.SpamStatus(r.Context(), ""))
	})
	mux.HandleFunc("GET /v1/accounts/{address}/spam", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.SpamStatus(r.Context(), r.PathValue("address")))
	})
	mux.HandleFunc("GET /v1/accounts/{address}/spam/trainings", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(s.SpamTrainings(r.Context(), r.PathValue("address")))
	})
	mux.HandleFunc("POST /v1/accounts/{address}/spam/train", askAbout(func(ctx context.Context, address string, in SpamLesson) (SpamTrained, error) {
		return s.TrainSpam(ctx, address, in)
	}))
	mux.HandleFunc("POST /v1/accounts/{address}/spam/undo", askAbout(func(ctx context.Context, address string, in SpamUndo) (SpamTrained, error) {
		return s.UndoSpam(ctx, address, in)
	}))
	mux.HandleFunc("POST /v1/accounts/{address}/spam/forget", askAbout(func(ctx context.Context, address string, in SpamForget) (SpamForgotten, error) {
		return s.ForgetSpam(ctx, address, in)
	}))
}

// spamSecretRoutes are those that tell which words an account's mail has.
func spamSecretRoutes(mux *http.ServeMux, s Spam) {
	mux.HandleFunc("POST /v1/spam/explain", ask(func(ctx context.Context, m SpamMessage) (SpamOpinion, error) { return s.ExplainSpam(ctx, "", m) }))
	mux.HandleFunc("POST /v1/accounts/{address}/spam/explain", askAbout(func(ctx context.Context, address string, in SpamMessage) (SpamOpinion, error) {
		return s.ExplainSpam(ctx, address, in)
	}))
}

// askAbout handles a request about an account, whose body is a T, with an answer.
func askAbout[T, A any](f func(context.Context, string, T) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if decode(w, r, &in) {
			answer(w)(f(r.Context(), r.PathValue("address"), in))
		}
	}
}
