#!/bin/sh
# Builds the native binding of TensorFlow.js against the TensorFlow of a Python wheel, which is years newer than the
# libtensorflow that its own installation downloads, and made for the GPUs of today. Needs g++, make and python3.
#
#   build-native.sh TENSORFLOW [PACKAGE]
#
#   TENSORFLOW  folder `tensorflow` of an installed or unpacked wheel (tensorflow, or tensorflow-cpu), with
#               libtensorflow_cc.so.2, libtensorflow_framework.so.2 and include/; it is linked to, so it has to stay
#   PACKAGE     folder of @tensorflow/tfjs-node or @tensorflow/tfjs-node-gpu, installed with --ignore-scripts;
#               default: node_modules/@tensorflow/tfjs-node
set -eu

tensorflow=$(cd "${1:?folder of TensorFlow is missing}" && pwd)
package=$(cd "${2:-node_modules/@tensorflow/tfjs-node}" && pwd -P)

mkdir -p "$package/deps/lib"
ln -sfn "$tensorflow/include" "$package/deps/include"
for name in tensorflow_cc tensorflow_framework; do
  [ -f "$tensorflow/lib$name.so.2" ] || { echo "$tensorflow has no lib$name.so.2" >&2; exit 1; }
  # The loader asks for the name with the number, the linker for the one without.
  ln -sf "$tensorflow/lib$name.so.2" "$package/deps/lib/lib$name.so.2"
  ln -sf "lib$name.so.2" "$package/deps/lib/lib$name.so"
done
# The C API, which other builds have in a library of its own.
ln -sf libtensorflow_cc.so.2 "$package/deps/lib/libtensorflow.so"

cd "$package"
npx --no-install node-pre-gyp rebuild --build-latest-napi-version-only
