package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/bayes"
)

func spamCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "spam", Short: "What users took for junk: learnt, taken back, explained",
		Long: "Rookery learns from what users move to Junk and out of it which words and hosts unwanted mail has. Each account has a\n" +
			"model of its own; what all accounts learnt is another. Both have a say in the verdict about mail that comes in.",
		Example: "  rookery spam status ada@example.org\n  rookery spam explain ada@example.org < message.eml",
	}
	cmd.AddCommand(spamStatus(o), spamTrain(o), spamList(o), spamUndo(o), spamExplain(o), spamForget(o))
	return cmd
}

func spamPath(address, what string) string { return accountPath(address) + "/spam" + what }

func spamStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status [ADDRESS]", Short: "Show what the cluster has learnt, and an account", Example: "  rookery spam status\n  rookery spam status ada@example.org",
		Args: cobra.MaximumNArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			path := "/v1/spam"
			if len(args) > 0 {
				path = spamPath(args[0], "")
			}
			var s adminapi.SpamStatus
			if err := call("GET", path, nil, &s); err != nil {
				return err
			}
			return o.print(cmd, s, func(p *printer) { printSpamStatus(p, s) })
		}),
	}
}

func printSpamStatus(p *printer, s adminapi.SpamStatus) {
	if !s.On {
		p.line("Mail is not classified, and nothing is learnt: the setting bayes is off.")
	}
	model := func(m adminapi.SpamModel) string {
		text := fmt.Sprintf("%d junk, %d not, %d tokens", m.Spam, m.Ham, m.Tokens)
		if !m.Counts {
			text += fmt.Sprintf("; does not count before it has learnt %d of each", s.Least)
		}
		return text
	}
	p.row("cluster", model(s.Cluster))
	if a := s.Account; a != nil {
		p.row("account", model(a.SpamModel))
		p.row("of that, the cluster learnt", fmt.Sprintf("%d junk, %d not; %d today", a.SharedSpam, a.SharedHam, a.SharedToday))
		p.row("can be taken back", a.Trainings)
	}
	l := s.Lessons
	p.row("filed by users of this node", fmt.Sprintf("%d learnt, %d known before, %d failed, %d too many", l["learnt"], l["known"], l["failed"], l["left"]))
}

func spamTrain(o *options) *cobra.Command {
	var spam, ham bool
	cmd := &cobra.Command{
		Use: "train --spam|--ham ADDRESS [FILE...]", Short: "Learn messages for an account",
		Long: "Learn messages, from files or standard input, as junk or not, for an account and for the cluster, which bounds what it learns from\n" +
			"users but not this. One that was learnt as the other before is that no more. Messages are best as they are in the mailbox,\n" +
			"with all of their header.",
		Example: "  rookery spam train --spam ada@example.org < message.eml\n  rookery spam train --ham ada@example.org good/*.eml",
		Args:    cobra.MinimumNArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if spam == ham {
				return errors.New("say whether it is junk: either --spam or --ham")
			}
			all := []adminapi.SpamTrained{}
			err := eachMessage(cmd, args[1:], func(name string, octets []byte) error {
				var t adminapi.SpamTrained
				if err := call("POST", spamPath(args[0], "/train"), adminapi.SpamLesson{Message: octets, Spam: spam}, &t); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				all = append(all, t)
				return nil
			})
			if err != nil {
				return err
			}
			return o.print(cmd, all, func(p *printer) { p.line("%s", trainedText(all)) })
		}),
	}
	cmd.Flags().BoolVar(&spam, "spam", false, "they are junk")
	cmd.Flags().BoolVar(&ham, "ham", false, "they are not")
	return cmd
}

func trainedText(all []adminapi.SpamTrained) string {
	changed, other := 0, 0
	for _, t := range all {
		if t.Changed {
			changed++
			if t.Was != "" {
				other++
			}
		}
	}
	text := fmt.Sprintf("%d of %d messages learnt", changed, len(all))
	if other > 0 {
		text += fmt.Sprintf(", %d of which were learnt as the other before", other)
	}
	return text + "."
}

// eachMessage reads messages from files, or one from standard input, as much of each as is looked at.
func eachMessage(cmd *cobra.Command, names []string, fn func(name string, octets []byte) error) error {
	if len(names) == 0 {
		octets, err := readMessage(cmd.InOrStdin())
		if err != nil {
			return err
		}
		return fn("standard input", octets)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		octets, err := readMessage(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := fn(name, octets); err != nil {
			return err
		}
	}
	return nil
}

func readMessage(r io.Reader) ([]byte, error) {
	octets, err := io.ReadAll(io.LimitReader(r, bayes.MaxOctets))
	if err == nil && len(octets) == 0 {
		err = errors.New("there is no message")
	}
	return octets, err
}

func spamList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list ADDRESS", Short: "List what an account learnt and can be taken back, the latest first", Example: "  rookery spam list ada@example.org", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var list []adminapi.SpamTraining
			if err := call("GET", spamPath(args[0], "/trainings"), nil, &list); err != nil {
				return err
			}
			return o.print(cmd, list, func(p *printer) {
				p.row("ID", "AT", "AS", "TOKENS", "CLUSTER TOO")
				for _, t := range list {
					p.row(t.ID[:min(12, len(t.ID))], t.At.Format(time.RFC3339), t.Class, t.Tokens, t.Shared)
				}
			})
		}),
	}
}

func spamUndo(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "undo ADDRESS [ID]", Short: "Take back what was learnt of a message",
		Long: "Take back what an account, and the cluster, learnt of a message, which is given on standard input or by the start of the id that\n" +
			"`rookery spam list` shows. Up to 500 messages of an account can be taken back.",
		Example: "  rookery spam undo ada@example.org < message.eml\n  rookery spam undo ada@example.org 5f0e2b70f8bb", Args: cobra.RangeArgs(1, 2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var in adminapi.SpamUndo
			if len(args) == 2 {
				in.ID = args[1]
			} else {
				var err error
				if in.Message, err = readMessage(cmd.InOrStdin()); err != nil {
					return err
				}
			}
			var t adminapi.SpamTrained
			if err := call("POST", spamPath(args[0], "/undo"), in, &t); err != nil {
				return err
			}
			return o.print(cmd, t, func(p *printer) {
				if !t.Changed {
					p.line("Nothing is remembered of that message.")
					return
				}
				p.line("It was learnt as %s, and is no more.", t.Was)
			})
		}),
	}
}

func spamExplain(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "explain [ADDRESS] < MESSAGE", Short: "Show what is known of a message, token by token",
		Long: "Show how likely a message is junk by what an account and the cluster have learnt, and the tokens that weigh most: what was read,\n" +
			"how many junk and other messages had it, and in whose model. Without an address by the cluster's alone. Asked on the node itself only.",
		Example: "  rookery spam explain ada@example.org < message.eml", Args: cobra.MaximumNArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			octets, err := readMessage(cmd.InOrStdin())
			if err != nil {
				return err
			}
			path := "/v1/spam/explain"
			if len(args) > 0 {
				path = spamPath(args[0], "/explain")
			}
			var s adminapi.SpamOpinion
			if err := call("POST", path, adminapi.SpamMessage{Message: octets}, &s); err != nil {
				return err
			}
			return o.print(cmd, s, func(p *printer) { printOpinion(p, s) })
		}),
	}
}

func printOpinion(p *printer, s adminapi.SpamOpinion) {
	if !s.Known {
		p.line("Nothing can be said: too little was learnt (see `rookery spam status`). The message has %d tokens.", s.Tokens)
		return
	}
	p.line("Junk with a probability of %.4f, %+.2f points; %d of %d tokens count.", s.Probability, s.Score, s.Used, s.Tokens)
	if len(s.Weightiest) == 0 {
		return
	}
	p.row("PROBABILITY", "JUNK", "NOT", "BY", "TOKEN")
	for _, t := range s.Weightiest {
		p.row(fmt.Sprintf("%.4f", t.Probability), t.Spam, t.Ham, t.Of, fmt.Sprintf("%q", t.Text))
	}
}

func spamForget(o *options) *cobra.Command {
	var in adminapi.SpamForget
	cmd := &cobra.Command{
		Use: "forget ADDRESS", Short: "Forget all that an account has learnt",
		Long: "Forget all that an account has learnt. What the cluster learnt from it stays, unless --shared is given: then the last 500 messages that\n" +
			"the account learnt are taken from what the cluster knows, as after an account was misused to spoil it.",
		Example: "  rookery spam forget ada@example.org\n  rookery spam forget ada@example.org --shared", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var f adminapi.SpamForgotten
			if err := call("POST", spamPath(args[0], "/forget"), in, &f); err != nil {
				return err
			}
			return o.print(cmd, f, func(p *printer) {
				if !f.Changed {
					p.line("%s had learnt nothing.", args[0])
					return
				}
				p.line("%s has learnt nothing any more; %d messages were taken from what the cluster knows.", args[0], f.TakenBack)
			})
		}),
	}
	cmd.Flags().BoolVar(&in.Shared, "shared", false, "take it from what the cluster knows, too")
	return cmd
}
