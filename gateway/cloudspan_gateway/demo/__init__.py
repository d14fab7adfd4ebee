"""`cloudspan up`: the whole of Cloudspan on one machine, as child processes of one command.

`plan` says what runs, `launcher` runs it, `demo` waits until it answers and says what to try.
"""
