package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// builds turns two arguments into two programs: a path of a program is itself, anything else is a git
// revision that is built. cleanup removes what was built; it is never nil.
func builds(ctx context.Context, args []string, progress func(string, ...any)) (binaries [2]string, cleanup func() error, err error) {
	dir := ""
	cleanup = func() error {
		if dir == "" {
			return nil
		}
		return os.RemoveAll(dir)
	}
	for i, arg := range args {
		if info, err := os.Stat(arg); err == nil && !info.IsDir() {
			if info.Mode()&0o111 == 0 {
				return binaries, cleanup, fmt.Errorf("%s is a file that cannot be run", arg)
			}
			binaries[i] = arg
			continue
		}
		if dir == "" {
			if dir, err = os.MkdirTemp("", "rookery-bench-build-"); err != nil {
				return binaries, cleanup, fmt.Errorf("make a directory: %w", err)
			}
		}
		progress("build %s", arg)
		if binaries[i], err = buildRevision(ctx, arg, filepath.Join(dir, fmt.Sprint(i))); err != nil {
			return binaries, cleanup, fmt.Errorf("%s is neither a program nor a revision that can be built: %w", arg, err)
		}
	}
	return binaries, cleanup, nil
}

// buildRevision unpacks a revision, without touching the working tree or its branches, and builds it.
func buildRevision(ctx context.Context, revision, dir string) (string, error) {
	if strings.HasPrefix(revision, "-") {
		return "", errors.New("it looks like a flag")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	top, err := command(ctx, ".", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return "", err
	}
	tree := filepath.Join(dir, "tree.tar")
	if _, err := command(ctx, strings.TrimSpace(top), "git", "archive", "--format=tar", "-o", tree, revision); err != nil {
		return "", err
	}
	if _, err := command(ctx, dir, "tar", "-xf", tree); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+revision, "-o", "rookery.program", "./cmd/rookery")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, bytes.TrimSpace(out))
	}
	return filepath.Join(dir, "rookery.program"), nil
}

// command runs a program and gives what it printed.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(complaint.String()))
	}
	return string(out), nil
}
