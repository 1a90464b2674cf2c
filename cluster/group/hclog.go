package group

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// bridge carries Raft's messages to slog. Raft calls normal events of its protocol warnings and
// errors, so each level is written one below: what an operator acts on, the group says itself.
type bridge struct {
	log  *slog.Logger
	name string
	args []any
}

var _ hclog.Logger = bridge{}

// earlyNotice is what Raft says of a notice of a commit (announcer) whose entry is still to come.
const earlyNotice = "failed to get previous log"

func (b bridge) Log(level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch {
	case msg == earlyNotice: // the announcer was faster than the entry
	case level == hclog.Warn:
		to = slog.LevelInfo
	case level == hclog.Error:
		to = slog.LevelWarn
	}
	if !b.log.Enabled(context.Background(), to) {
		return
	}
	for i, a := range args {
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	b.log.Log(context.Background(), to, "raft: "+msg, args...)
}

func (b bridge) Trace(msg string, args ...any) { b.Log(hclog.Trace, msg, args...) }
func (b bridge) Debug(msg string, args ...any) { b.Log(hclog.Debug, msg, args...) }
func (b bridge) Info(msg string, args ...any)  { b.Log(hclog.Info, msg, args...) }
func (b bridge) Warn(msg string, args ...any)  { b.Log(hclog.Warn, msg, args...) }
func (b bridge) Error(msg string, args ...any) { b.Log(hclog.Error, msg, args...) }

func (b bridge) IsTrace() bool { return b.IsDebug() }
func (b bridge) IsDebug() bool { return b.log.Enabled(context.Background(), slog.LevelDebug) }
func (b bridge) IsInfo() bool  { return b.IsDebug() }
func (b bridge) IsWarn() bool  { return b.log.Enabled(context.Background(), slog.LevelInfo) }
func (b bridge) IsError() bool { return true }

func (b bridge) ImpliedArgs() []any { return b.args }

func (b bridge) With(args ...any) hclog.Logger {
	return bridge{log: b.log.With(args...), name: b.name, args: append(b.args[:len(b.args):len(b.args)], args...)}
}

func (b bridge) Name() string                        { return b.name }
func (b bridge) Named(name string) hclog.Logger      { return bridge{log: b.log, name: b.name + "." + name} }
func (b bridge) ResetNamed(name string) hclog.Logger { return bridge{log: b.log, name: name} }
func (b bridge) SetLevel(hclog.Level)                {}
func (b bridge) GetLevel() hclog.Level               { return hclog.Info }

func (b bridge) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(b.log.Handler(), slog.LevelDebug)
}

func (b bridge) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return b.StandardLogger(o).Writer()
}
