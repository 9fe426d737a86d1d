#!/bin/sh
# The job: INPUT_FILE_PATH is the uploaded movie, what lies in TMP_OUTPUT_DIR at the end goes to the output bucket.
set -eu
# A job that was given a GPU must not run beside it.
device=auto
if [ -n "${RGPU_SERVER:-}" ]; then device=gpu; fi
home=${ECHO_VIEW_HOME:-/opt/echo-view}
name=$(basename "${INPUT_FILE_PATH%.*}")
exec "${ECHO_VIEW_PYTHON:-python3}" "$home/infer.py" --device "$device" \
    --timings "$TMP_OUTPUT_DIR/$name.timings.json"
