"""Where a stage's command runs: in a process, in a container, in a pod. One file each."""
