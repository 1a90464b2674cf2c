package scenario

import (
	"context"
	"github.com/rookery-mail/rookery/bench/site"
)

func runDay(context.Context, site.Site, Options) (Result, error)      { return Result{}, ErrNotYet }
func runIdle(context.Context, site.Site, Options) (Result, error)     { return Result{}, ErrNotYet }
func runGrowth(context.Context, site.Site, Options) (Result, error)   { return Result{}, ErrNotYet }
func runScale(context.Context, site.Site, Options) (Result, error)    { return Result{}, ErrNotYet }
