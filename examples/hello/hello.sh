#!/bin/sh
# Reads the uploaded file, writes one result; what it prints is the job's log.
set -eu

name=$(basename "$INPUT_FILE_PATH")
echo "$GREETING, $name"
wc "$INPUT_FILE_PATH" | while read -r lines words bytes _; do
    echo "lines=$lines words=$words bytes=$bytes"
done > "$TMP_OUTPUT_DIR/$name.count"
