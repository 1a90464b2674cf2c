// Package bayes says how like the unwanted mail of the past a message is. It reads a message into tokens, looks
// each up in two models, that of the account and that of the whole cluster, and combines what the most telling
// of them say (Gary Robinson's way with Fisher's method, as SpamBayes and Bogofilter do it).
//
// It decides nothing about a message, and keeps nothing: models are learnt and replicated by mta/bayes/training,
// held in memory by mta/bayes/models, and what becomes of a message is mta/inbound's.
package bayes

// The limits of what is read of a message.
const (
	MaxOctets = 256 << 10 // of the message, from its start
	MaxText   = 64 << 10  // of the text of its parts, decoded
	MaxTokens = 512       // that are kept, each once
)

// How a probability is made.
const (
	unknown      = 0.5  // of a token that nothing is known of
	strength     = 0.45 // how many observations that stands for
	trust        = 0.2  // how many observations of the account one of the cluster stands for
	trusted      = 10   // of the cluster's, no more than so many count like that
	telling      = 0.1  // what is nearer to 0.5 says nothing
	mostTelling  = 150  // tokens that are combined
	explained    = 15   // tokens that an Opinion names
	spamPoints   = 6.0  // above what is junk by default, so that a sure opinion alone suffices
	hamPoints    = 3.0
	unsureWithin = 0.1 // around 0.5, where there are no points
)

// The models that Evidence is of.
const (
	OfAccount = "account"
	OfCluster = "cluster"
)

// Opinion is what the models make of a message.
type Opinion struct {
	Probability float64    // that it is unwanted, 0 to 1; 0.5 where they do not know
	Score       float64    // points for a verdict, -3 to 6; 0 where they are not sure
	Used        int        // tokens that were combined
	Tokens      []Evidence // those that weighed most, the weightiest first
}

// Evidence is what is known of one token.
type Evidence struct {
	Text        string  // as it was read, such as "subject:offer"
	Spam        uint32  // unwanted messages that had it, in the model named by Of
	Ham         uint32  // wanted ones
	Probability float64 // that a message with it is unwanted, by both models
	Of          string  // OfAccount or OfCluster: which of the two says more
}
