#include <iostream>

#include "cli/commands.h"

int main(int argc, char** argv) {
  return tarn::cli::RunTarnctl(argc, argv, std::cout, std::cerr);
}
