//! Lists every form that the instruction table accepts.
fn main() {
    for row in rgpu_ptx::instr_table::ROWS {
        for form in rgpu_ptx::forms::all(row) {
            println!("{} {}", form.text, form.example);
        }
    }
}
