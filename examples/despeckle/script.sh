#!/bin/sh
# The job: INPUT_FILE_PATH is the uploaded DICOM file, what lies in TMP_OUTPUT_DIR at the end goes to the output bucket.
exec "${DESPECKLE_PYTHON:-python3}" "${DESPECKLE_HOME:-/opt/despeckle}/despeckle.py"
