# SPDX-License-Identifier: Apache-2.0
"""Limits that more than one area holds our programs to."""

# Bytes of a program.  The launcher is copied into memory for every process that enters a container.
SIZE = {"nono": 88 * 1024}
