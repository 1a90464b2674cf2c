package main

import "github.com/spf13/cobra"

func peersCommand() *cobra.Command { return &cobra.Command{Use: "peers"} }
