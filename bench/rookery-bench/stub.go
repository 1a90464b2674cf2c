package main

import "github.com/spf13/cobra"

func compareCommand() *cobra.Command  { return &cobra.Command{Use: "compare"} }
func rehearseCommand() *cobra.Command { return &cobra.Command{Use: "rehearse"} }
func peersCommand() *cobra.Command    { return &cobra.Command{Use: "peers"} }
